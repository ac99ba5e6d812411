"""Running cells against a slow transcription, and through our decoder and loss."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.loss import MarlinReconstructionLoss
from lightly_marlin.models import create_marlin
from lightly_marlin.transforms import (
    mask_to_indices,
    random_tubelet_mask,
    running_cell_decoder_mask,
)

GRID = (8, 4, 4)
PLACES = [(0, 0), (0, 1), (1, 0), (1, 1)]


def pattern(grid, start, width):
    """The tokens whose turn it is: places go back through the lines of a cell."""
    tubelets, height, width_of_grid = grid
    turn = set()
    for tubelet in range(tubelets):
        for step in range(width):
            y, x = PLACES[(start - tubelet - step) % 4]
            turn |= {
                (tubelet * height + row) * width_of_grid + column
                for row in range(y, height, 2)
                for column in range(x, width_of_grid, 2)
            }
    return turn


def all_masked(batch=1, grid=GRID):
    return torch.arange(math.prod(grid)).expand(batch, -1)


@pytest.mark.parametrize(("ratio", "width"), [(0.25, 1), (0.5, 2), (0.75, 3)])
def test_running_cell__pattern_of_a_wholly_masked_clip(ratio, width):
    """Nothing to drop or fill: one of four patterns, and all four occur."""
    patterns = [pattern(GRID, start, width) for start in range(4)]
    chosen = running_cell_decoder_mask(all_masked(64), GRID, ratio)
    rows = [set(row.tolist()) for row in chosen]
    assert all(row in patterns for row in rows)
    assert all(expected in rows for expected in patterns)


def test_running_cell__half_of_a_cell_over_time():
    """Rows and diagonals of a cell take turns, as VideoMAE V2 has them."""
    grid = (4, 2, 2)
    sequence = ["..##", ".##.", "##..", "#..#"]
    orders = [sequence[start:] + sequence[:start] for start in range(4)]
    seen = set()
    for chosen in running_cell_decoder_mask(all_masked(64, grid), grid, 0.5):
        tokens = set(chosen.tolist())
        cells = ["".join(".#"[4 * t + i in tokens] for i in range(4)) for t in range(4)]
        assert cells in orders
        seen.add(cells[0])
    assert seen == set(sequence)


def test_running_cell__every_place_has_its_turn():
    """In four tubelets each place is decoded twice."""
    chosen = running_cell_decoder_mask(all_masked(), GRID, 0.5)[0]
    counts = torch.bincount(chosen[chosen < 64] % 16, minlength=16)
    assert (counts == 2).all()


def explained(chosen, masked, start, count, width, grid=GRID):
    """Whether `chosen` is what the rules leave for one start."""
    inside = masked & pattern(grid, start, width)
    if len(inside) >= count:
        return chosen <= inside
    reach = inside
    while len(reach) < count:
        width += 1
        before, reach = reach, masked & pattern(grid, start, width)
    return before <= chosen <= reach


@pytest.mark.parametrize("ratio", [0.2, 0.25, 0.5, 0.6, 0.9, 1.0])
def test_running_cell__drops_and_fills_as_transcribed(ratio):
    _, idx_mask = random_tubelet_mask((50, GRID), 0.8)
    chosen = running_cell_decoder_mask(idx_mask, GRID, ratio)
    count, width = int(idx_mask.shape[1] * ratio), math.ceil(4 * ratio - 1e-6)
    assert chosen.shape == (50, count)
    for row, masked in zip(chosen.tolist(), idx_mask.tolist(), strict=True):
        assert row == sorted(set(row))
        fits = [
            explained(set(row), set(masked), start, count, width) for start in range(4)
        ]
        assert any(fits)


def test_running_cell__random_tokens_are_not_explained():
    """The comparison above can fail."""
    chosen = {token for token in range(128) if token % 3}
    assert not any(
        explained(chosen, set(range(128)), start, len(chosen), 3) for start in range(4)
    )


@settings(max_examples=30, deadline=None)
@given(
    grid=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
    ratio=st.floats(0.05, 1.0),
    data=st.data(),
)
def test_running_cell__part_of_the_mask(grid, ratio, data):
    total = math.prod(grid)
    count = data.draw(st.integers(1, total))
    mask = torch.zeros(2, total, dtype=torch.bool)
    mask[:, torch.randperm(total)[:count]] = True
    _, idx_mask = mask_to_indices(mask)
    if int(count * ratio + 1e-6) == 0:
        with pytest.raises(ValueError, match="decodes none of"):
            running_cell_decoder_mask(idx_mask, grid, ratio)
        return
    chosen = running_cell_decoder_mask(idx_mask, grid, ratio)
    assert chosen.shape == (2, int(count * ratio + 1e-6))
    assert set(chosen.flatten().tolist()) <= set(idx_mask.flatten().tolist())


def test_running_cell__prefix_and_seed():
    _, idx_mask = random_tubelet_mask((3, GRID), 0.8)
    results = [
        running_cell_decoder_mask(
            idx_mask + shift,
            GRID,
            num_prefix_tokens=shift,
            generator=torch.Generator().manual_seed(4),
        )
        for shift in (0, 2)
    ]
    assert torch.equal(results[0] + 2, results[1])


def test_running_cell__decoder_and_loss():
    """Half the tokens are decoded; what is decoded counts, nothing else does."""
    model = create_marlin("marlin_vit_tiny", img_size=32, num_frames=4)
    clips = torch.randint(0, 256, (2, 3, 4, 32, 32), dtype=torch.uint8)
    idx_keep, idx_mask = random_tubelet_mask((2, model.config.grid), 0.5)
    idx_decode = running_cell_decoder_mask(idx_mask, model.config.grid)
    pred = model(clips, idx_keep, idx_decode)
    assert pred.shape == (2, 2, 1536)
    loss = MarlinReconstructionLoss()(pred, clips, idx_decode)
    loss.backward()
    target = clips.float().div(255).view(2, 3, 2, 2, 2, 16, 2, 16)
    target = target.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(2, 8, 1536)
    decoded = target.gather(1, idx_decode[..., None].expand(-1, -1, 1536))
    torch.testing.assert_close(loss, (pred - decoded).square().mean())
    assert model.decoder.mask_token.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decode_ratio": 0.0}, r"Invalid decode_ratio 0\.0.*\(0, 1\]"),
        ({"decode_ratio": 0.001}, "decodes none of 128 masked tokens"),
        ({"grid": (8, 16)}, "Invalid grid"),
        ({"grid": (1, 4, 4)}, r"must be in \[0, 16\)"),
    ],
)
def test_running_cell__errors(arguments, message):
    options = {"idx_mask": all_masked(), "grid": GRID, **arguments}
    with pytest.raises(ValueError, match=message):
        running_cell_decoder_mask(**options)
