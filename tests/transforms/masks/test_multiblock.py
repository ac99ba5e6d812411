"""Multi-block masks against slow blocks, token by token, and blocks that are known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.transforms import (
    BatchMasking,
    MaskMixture,
    MultiblockMask,
    indices_to_mask,
    multiblock_token_mask,
)
from lightly_marlin.transforms.masks import multiblock

RELEASED = (8, 14, 14)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(size, mask_ratio=0.9, seed=0, **options):
    return multiblock_token_mask(size, mask_ratio, generator=seeded(seed), **options)


def hidden(size, mask_ratio, **options):
    """Boolean masks (B, t, h, w), True where masked."""
    _, masked = draw(size, mask_ratio, **options)
    return indices_to_mask(masked, math.prod(size[1])).view(size[0], *size[1])


def slow_cover(grid, ratio, places, spatial_scale, temporal_scale):
    """The tokens in the blocks of one clip; their draws are lists of floats."""
    t, h, w = grid
    area = spatial_scale * h * w
    sides = (
        max(1, round(temporal_scale * t)),
        min(h, max(1, round(math.sqrt(area * ratio)))),
        min(w, max(1, round(math.sqrt(area / ratio)))),
    )
    covered = set()
    for block in zip(*places, strict=True):
        first = [
            min(int(draw * (room - side + 1)), room - side)
            for draw, room, side in zip(block, grid, sides, strict=True)
        ]
        ends = [range(a, a + side) for a, side in zip(first, sides, strict=True)]
        covered |= {
            (a * h + b) * w + c for a in ends[0] for b in ends[1] for c in ends[2]
        }
    return covered


@settings(max_examples=60, deadline=None)
@given(
    grid=st.tuples(st.integers(1, 8), st.integers(1, 9), st.integers(1, 9)),
    mask_ratio=st.floats(0.05, 0.95),
    num_blocks=st.integers(1, 5),
    scales=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
    seed=st.integers(0, 2**31),
)
def test_multiblock_token_mask__blocks_of_a_transcription(
    grid, mask_ratio, num_blocks, scales, seed
):
    """Exact counts; what is visible lies outside the blocks as far as that goes."""
    total = math.prod(grid)
    count = int(total * (1 - mask_ratio))
    if count == 0:
        return
    options = {"spatial_scale": scales[0], "temporal_scale": scales[1]}
    kept, masked = draw((2, grid), mask_ratio, seed, num_blocks=num_blocks, **options)
    generator = seeded(seed)
    ratios = 0.75 + torch.rand(2, 1, generator=generator) * 0.75
    places = torch.rand(3, 2, num_blocks, generator=generator)
    for row in range(2):
        covered = slow_cover(grid, ratios[row].item(), places[:, row].tolist(), *scales)
        visible = set(kept[row].tolist())
        assert len(visible) == count
        assert sorted(visible | set(masked[row].tolist())) == list(range(total))
        outside = set(range(total)) - covered
        assert visible <= outside or outside <= visible


def test_multiblock_token_mask__surplus_is_not_dropped_in_raster_order():
    """[0] cuts the last tubelets off; here all tubelets keep the same on average."""
    kept, _ = draw((400, RELEASED))
    per_tubelet = torch.bincount((kept // 196).flatten(), minlength=8) / 400
    assert (per_tubelet - 156 / 8).abs().max() < 0.6


def test_multiblock_token_mask__too_little_outside():
    """Blocks over everything: random tokens of them are visible, from all places."""
    kept, _ = draw((4000, (2, 3, 3)), 0.5, spatial_scale=1.0, aspect_ratio=(1.0, 1.0))
    frequency = torch.bincount(kept.flatten(), minlength=18) / 4000
    assert (frequency - 0.5).abs().max() < 0.04


def test_multiblock_token_mask__one_block_of_known_sides():
    """36 of 144 places, half as long as the clip: 6 x 6 tokens, somewhere."""
    options = {"num_blocks": 1, "spatial_scale": 0.25, "temporal_scale": 0.5}
    block = hidden((300, (4, 12, 12)), 0.125, aspect_ratio=(1.0, 1.0), **options)
    assert (block.sum(dim=(1, 2, 3)) == 72).all()
    starts = []
    for clip in block:
        t, h, w = (axis.unique() for axis in clip.nonzero(as_tuple=True))
        assert [len(axis) for axis in (t, h, w)] == [2, 6, 6]
        starts.append([int(axis[0]) for axis in (t, h, w)])
        assert [int(axis[-1] - axis[0]) for axis in (t, h, w)] == [1, 5, 5]
    for axis, last in zip(zip(*starts, strict=True), (2, 6, 6), strict=True):
        assert set(axis) == set(range(last + 1))


def test_block_sides__area_and_aspect_ratio():
    """29.4 of 196 places; sides from 4.7 x 6.3 to 6.6 x 4.4, rounded."""
    draws = torch.rand(5000, 1, generator=seeded())
    length, height, width = multiblock._block_sides(
        RELEASED, 0.15, 1.0, (0.75, 1.5), draws
    )
    assert length.unique().tolist() == [8]
    assert height.unique().tolist() == [5, 6, 7]
    assert width.unique().tolist() == [4, 5, 6]
    assert abs((height * width).mean() - 29.4) < 1
    sides = multiblock._block_sides((2, 3, 9), 0.9, 0.01, (0.1, 0.1), draws[:1])
    assert [side.item() for side in sides] == [1, 2, 9]


def test_multiblock_token_mask__blocks_go_through_the_whole_clip():
    """Single tokens would hide 0.9 ** 8 = 43 % of the places in all tubelets, 84."""
    masked = hidden((50, RELEASED), 0.9).view(50, 8, 196).all(dim=1).sum(dim=1)
    assert masked.float().mean() > 120
    assert masked.min() > 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_blocks": 0}, r"Invalid num_blocks 0: must be at least 1\."),
        ({"spatial_scale": 0}, r"Invalid spatial_scale 0\. Supported values are in"),
        ({"spatial_scale": float("nan")}, "Invalid spatial_scale nan"),
        ({"temporal_scale": 1.5}, r"Invalid temporal_scale 1\.5"),
        ({"aspect_ratio": (1.5, 0.75)}, r"Invalid aspect_ratio \(1\.5, 0\.75\)"),
        ({"aspect_ratio": (0, 1)}, "must be two positive numbers, the lower one first"),
    ],
)
def test_multiblock__options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        multiblock_token_mask((1, RELEASED), **options)
    with pytest.raises(ValueError, match=message):
        MultiblockMask(**options)


def test_multiblock_mask__same_as_function():
    options = {"num_blocks": 2, "spatial_scale": 0.7, "temporal_scale": 0.5}
    options["aspect_ratio"] = (0.5, 2.0)
    sample = {"video": torch.zeros(3, 16, 224, 224, dtype=torch.uint8)}
    result = MultiblockMask(0.8, generator=seeded(1), **options)(sample)
    expected = draw((1, RELEASED), 0.8, 1, **options)
    assert torch.equal(result["idx_keep"], expected[0][0])
    assert torch.equal(result["idx_mask"], expected[1][0])


def test_multiblock_mask__both_kinds_of_v_jepa_in_a_mixture():
    """Two settings of it, alternating: the large blocks leave a border."""
    strategies = [
        MultiblockMask(generator=seeded()),
        MultiblockMask(generator=seeded(), num_blocks=2, spatial_scale=0.7),
    ]
    mixture = MaskMixture(strategies, (0.5, 0.5), generator=seeded())
    sample = {"video": torch.zeros(3, 16, 224, 224, dtype=torch.uint8)}
    middle = []
    for _ in range(40):
        places = mixture(sample)["idx_keep"] % 196
        row, column = places // 14, places % 14
        inner = (row - 6.5).abs().lt(4) & (column - 6.5).abs().lt(4)
        middle.append(int(inner.sum()))
    assert sum(count == 0 for count in middle) > 8
    assert sum(count > 0 for count in middle) > 8


def test_batch_masking__mixture_with_fasking_and_options():
    cells = torch.ones(40, 4, 8, 8, dtype=torch.int32)
    options = {"grid": (2, 4, 4), "patch_size": 16, "tubelet_size": 2, "mode": "tube"}
    masking = BatchMasking("fasking+multiblock", 0.75, **options, num_blocks=3)
    assert masking.strategies[1].num_blocks == 3
    kept, masked = masking(cells, 2)
    assert kept.shape == (40, 8)
    assert masked.shape == (40, 24)
    tubes = sum(torch.equal(row[:4] + 16, row[4:]) for row in kept)
    assert 15 <= tubes <= 30
