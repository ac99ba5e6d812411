"""Motion-guided masks against a slow transcription, and on motion that is known."""

import math

import pytest
import torch

from lightly_marlin.transforms import motion_token_mask

PATCH = 8  # pixels; a step of the search is 2


def textured(frames=8, side=64, seed=0):
    """One still picture of random squares of 2x2 pixels, as a clip (1, 3, T, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.rand(1, 3, side // 2, side // 2, generator=generator)
    picture = picture.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return picture.unsqueeze(2).repeat(1, 1, frames, 1, 1)


def panning(steps_per_tubelet, tubelets=4, side=64):
    """The texture moves to the right by so many search steps per tubelet."""
    still = textured(2 * tubelets, side)
    moved = [
        still[:, :, 2 * k : 2 * k + 2].roll(2 * steps_per_tubelet * k, dims=-1)
        for k in range(tubelets)
    ]
    return torch.cat(moved, dim=2)


def draw(videos, mask_ratio=0.75, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    sizes = {"patch_size": PATCH, **options}
    return motion_token_mask(videos, mask_ratio, generator=generator, **sizes)


def places(kept, tubelets, per_tubelet):
    """The visible places of each tubelet of the first clip."""
    row = kept[0].tolist()
    return [
        {i - k * per_tubelet for i in row if i // per_tubelet == k}
        for k in range(tubelets)
    ]


def slow_shift(target, source, row, column):
    """The shift of one patch, by trying all; grey cells are lists of lists."""
    size = len(target)
    best, lowest = None, math.inf
    shifts = [(y, x) for y in range(-4, 5) for x in range(-4, 5)]
    for y, x in sorted(shifts, key=lambda s: s[0] ** 2 + s[1] ** 2):
        total = 0.0
        for r in range(4 * row, 4 * row + 4):
            for c in range(4 * column, 4 * column + 4):
                near = source[min(max(r + y, 0), size - 1)]
                total += abs(target[r][c] - near[min(max(c + x, 0), size - 1)])
        cost = total / 16 + math.hypot(y, x) / 255
        if cost < lowest - 1e-9:
            best, lowest = (y, x), cost
    return best


def slow_start(visible, side):
    """How near each cell (row, column) is to a visible place of the base, in (0, 1]."""
    values = {}
    for r in range(4 * side):
        for c in range(4 * side):
            values[r, c] = max(
                math.exp(
                    -(((r + 0.5) / 4 - place // side - 0.5) ** 2)
                    - (((c + 0.5) / 4 - place % side - 0.5) ** 2)
                )
                for place in visible
            )
    return values


def slow_carry(values, start, target, source, where):
    """The values of the cells of `target`, given those of `source` and of the base."""
    size = len(target)
    carried = {}
    for row in range(size // 4):
        for column in range(size // 4):
            y, x = where(target, source, row, column)
            for r in range(4 * row, 4 * row + 4):
                for c in range(4 * column, 4 * column + 4):
                    carried[r, c] = values.get((r + y, c + x), start[r, c])
    return carried


def grey_cells(videos):
    grey = videos[0, :, ::2].mean(dim=0)
    cells = grey.unfold(1, 2, 2).unfold(2, 2, 2).mean(dim=(-1, -2))
    return [frame.tolist() for frame in cells.double()]


def token_values(cells, side):
    totals = dict.fromkeys(range(side * side), 0.0)
    for (row, column), value in cells.items():
        totals[(row // 4) * side + column // 4] += value / 16
    return totals


def assert_as_transcribed(videos, kept, side):
    """From the middle on, each tubelet keeps the tokens of the highest values."""
    grey = grey_cells(videos)
    seen = places(kept, len(grey), side * side)
    middle = len(grey) // 2
    start = slow_start(seen[middle], side)
    for path in (range(middle + 1, len(grey)), range(middle - 1, -1, -1)):
        cells, nearer = start, middle
        for index in path:
            cells = slow_carry(cells, start, grey[index], grey[nearer], slow_shift)
            values = token_values(cells, side)
            worst = min(values[place] for place in seen[index])
            # The slack is what decides between equals.
            assert all(values[p] <= worst + 1e-3 for p in set(values) - seen[index])
            assert len(seen[index]) == len(seen[middle])
            nearer = index


@pytest.mark.parametrize("seed", range(3))
def test_motion_token_mask__as_transcribed(seed):
    """Two halves that move apart, with noise."""
    still = textured(8, 32, seed)
    videos = torch.cat(
        [
            torch.cat(
                [
                    still[..., :16, :].roll(2 * k, dims=-1)[:, :, :2],
                    still[..., 16:, :].roll(-4 * k, dims=-1)[:, :, :2],
                ],
                dim=-2,
            )
            for k in range(4)
        ],
        dim=2,
    )
    noise = torch.rand(videos.shape, generator=torch.Generator().manual_seed(seed))
    videos = (videos + 0.05 * noise) / 1.05
    kept, _ = draw(videos, 0.75, seed)
    assert_as_transcribed(videos, kept, side=4)


def test_motion_token_mask__a_tube_over_motion_is_not_as_transcribed():
    """The comparison above can fail."""
    kept, _ = draw(textured(side=32))
    with pytest.raises(AssertionError):
        assert_as_transcribed(panning(4, side=32), kept, side=4)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_motion_token_mask__still_clips_get_tubes(noise):
    """Also grey walls, and with the noise of a camera."""
    for videos in (textured(), torch.full((1, 3, 8, 64, 64), 0.5)):
        videos = videos + noise * torch.rand(videos.shape)
        seen = places(draw(videos.clamp(0, 1))[0], 4, 64)
        assert seen[0] == seen[1] == seen[2] == seen[3]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16])
def test_motion_token_mask__follows_a_pan(dtype):
    """The texture moves one patch per tubelet: so does what is visible."""
    videos = panning(4)
    videos = videos.mul(255).round().to(dtype) if dtype == torch.uint8 else videos
    videos = videos.to(dtype)
    followed = total = 0
    for seed in range(10):
        seen = places(draw(videos, seed=seed)[0], 4, 64)
        # The mask is drawn in tubelet 2; what leaves the frame cannot be followed.
        for far, step in ((3, 1), (1, -1), (0, -2)):
            inside = {place for place in seen[2] if 0 <= place % 8 + step < 8}
            followed += len({place + step for place in inside} & seen[far])
            total += len(inside)
    # Content that enters at the border is matched anywhere and may take a place.
    assert followed > 0.95 * total


def test_motion_token_mask__counts_prefix_and_seed():
    videos = torch.randint(0, 256, (2, 3, 16, 224, 224), dtype=torch.uint8)
    kept, masked = motion_token_mask(
        videos, num_prefix_tokens=1, generator=torch.Generator().manual_seed(0)
    )
    assert kept.shape == (2, 157)
    assert masked.shape == (2, 1412)
    for row in range(2):
        tokens = kept[row].tolist() + masked[row].tolist()
        assert sorted(tokens) == list(range(1569))
        assert kept[row].tolist() == sorted(kept[row].tolist())
    again = motion_token_mask(
        videos, num_prefix_tokens=1, generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(kept, again[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"videos": torch.zeros(3, 8, 64, 64)}, "Invalid shape of videos"),
        ({"videos": torch.zeros(1, 3, 8, 64, 64).long()}, "Invalid dtype of videos"),
        ({"patch_size": 6}, "Invalid patch_size 6: must be a positive multiple of 4"),
        ({"patch_size": 12}, "Invalid patch_size 12: must divide height 64"),
        ({"tubelet_size": 3}, "Invalid tubelet_size 3: must divide"),
        ({"mask_ratio": 0.0}, r"Invalid mask_ratio 0\.0"),
    ],
)
def test_motion_token_mask__errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        motion_token_mask(**{"videos": torch.zeros(1, 3, 8, 64, 64), **arguments})


def test_motion_token_mask__no_clips():
    idx_keep, idx_mask = draw(torch.zeros(0, 3, 8, 64, 64))
    assert (idx_keep.shape, idx_mask.shape) == ((0, 64), (0, 192))
    with pytest.raises(ValueError, match="clips not empty"):
        draw(torch.zeros(1, 3, 0, 64, 64))
