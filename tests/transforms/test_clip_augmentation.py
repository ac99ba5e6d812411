import math

import pytest
import torch

from lightly_marlin.regions import Label, RegionCells
from lightly_marlin.transforms.clip_augmentation import (
    ClipAugmentation,
    ClipChanges,
    crop_cells,
    mirror_cells,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def smooth_clips(batch=2, frames=3, size=32):
    """Slow waves, which survive interpolation: float32 (B, 3, T, H, W) in [0, 1]."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    phases = torch.arange(batch * 3 * frames).reshape(batch, 3, frames, 1, 1)
    return 0.5 + 0.3 * torch.sin(x / 7 + phases) * torch.cos(y / 9 + phases / 2)


def naive_augmentation(clips, changes):
    """One clip, one frame, one pixel at a time, from the definition."""
    out = torch.empty_like(clips)
    B, _, T, H, W = clips.shape
    for b in range(B):
        left, top, width, height = changes.box[b].tolist()
        clip = clips[b].flip(-1) if changes.flip[b] else clips[b]
        for t in range(T):
            for i in range(H):
                for j in range(W):
                    x = (left + (j + 0.5) / W * width) * W - 0.5
                    y = (top + (i + 0.5) / H * height) * H - 0.5
                    out[b, :, t, i, j] = bilinear(clip[:, t], x, y)
        brightness, contrast, saturation = changes.color[b].tolist()
        weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None, None]
        changed = (out[b] * brightness).clamp(0, 1)
        mean = (weights * changed).sum(0).mean()
        changed = (changed * contrast + mean * (1 - contrast)).clamp(0, 1)
        gray = (weights * changed).sum(0)
        out[b] = (changed * saturation + gray * (1 - saturation)).clamp(0, 1)
    return out


def bilinear(frame, x, y):
    _, H, W = frame.shape
    x, y = min(max(x, 0), W - 1), min(max(y, 0), H - 1)
    x0, y0 = math.floor(x), math.floor(y)
    x1, y1 = min(x0 + 1, W - 1), min(y0 + 1, H - 1)
    a, b = x - x0, y - y0
    return (
        frame[:, y0, x0] * (1 - a) * (1 - b)
        + frame[:, y0, x1] * a * (1 - b)
        + frame[:, y1, x0] * (1 - a) * b
        + frame[:, y1, x1] * a * b
    )


def test_clip_augmentation__equals_the_naive_transcription():
    clips = smooth_clips(3, 2, 16)
    augment = ClipAugmentation(crop_scale=(0.4, 0.9), color=0.3)
    changes = augment.draw(3, generator(1))
    assert changes.flip.tolist() != [False] * 3
    torch.testing.assert_close(
        augment.apply_changes(clips, changes),
        naive_augmentation(clips, changes),
        rtol=0,
        atol=2e-3,
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_clip_augmentation__a_batch_as_its_clips_one_by_one(dtype):
    augment = ClipAugmentation(crop_scale=(0.5, 1), color=0.3)
    clips = smooth_clips(batch=3)
    clips = clips if dtype == torch.float32 else (clips * 255).round().to(dtype)
    changes = augment.draw(3, generator())
    together = augment.apply_changes(clips, changes)
    for index in range(3):
        own = ClipChanges(*(c[index : index + 1] for c in changes))
        alone = augment.apply_changes(clips[index : index + 1], own)
        assert torch.equal(together[index : index + 1], alone)
    # What other devices compute, all at once.
    mirrored = torch.where(
        changes.flip[:, None, None, None, None], clips.flip(-1), clips
    )
    whole = augment._change_pixels(mirrored, changes)
    torch.testing.assert_close(whole.float(), together.float(), rtol=0, atol=1e-5)


def test_clip_augmentation__no_clips():
    none = torch.zeros(0, 3, 2, 16, 16)
    for options in ({}, {"crop_scale": (1.0, 1.0)}, {"color": 0.0}):
        assert ClipAugmentation(**options)(none)[0].shape == none.shape


def test_clip_augmentation__draws_within_its_ranges():
    augment = ClipAugmentation(flip=0.3, crop_scale=(0.5, 0.7), color=0.2)
    flip, box, color = augment.draw(2000, generator())
    left, top, width, height = box.T
    area, ratio = width * height, width / height
    assert 0.26 < flip.float().mean() < 0.34
    assert 0.5 <= area.min() < 0.51
    assert 0.69 < area.max() <= 0.7
    assert 0.9 <= ratio.min() < 0.91
    assert 1.1 < ratio.max() <= 1 / 0.9
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + width).max() <= 1
    assert (top + height).max() <= 1
    assert 0.8 <= color.min() < 0.81
    assert 1.19 < color.max() <= 1.2
    # The three factors are independent of one another.
    assert torch.corrcoef(color.T).triu(1).abs().max() < 0.1


def test_clip_augmentation__crops_stay_in_the_frame():
    _, box, _ = ClipAugmentation(crop_scale=(0.95, 1), crop_ratio=(0.5, 2)).draw(
        500, generator()
    )
    assert (box[:, :2] >= 0).all()
    assert (box[:, :2] + box[:, 2:]).max() <= 1
    assert (box[:, 2] * box[:, 3]).min() >= 0.95 - 1e-9


def test_clip_augmentation__same_generator_same_clips():
    clips, augment = smooth_clips(), ClipAugmentation()
    state = torch.get_rng_state()
    first, _ = augment(clips, generator=generator(3))
    again, _ = augment(clips, generator=generator(3))
    other, _ = augment(clips, generator=generator(4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_clip_augmentation__uint8_as_float():
    pixels = (smooth_clips() * 255).round().to(torch.uint8)
    augment = ClipAugmentation()
    coarse, _ = augment(pixels, generator=generator(2))
    fine, _ = augment(pixels / 255, generator=generator(2))
    assert coarse.dtype == torch.uint8
    assert fine.dtype == torch.float32
    assert (coarse.float() / 255 - fine).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_clip_augmentation__keeps_the_dtype(dtype):
    clips = smooth_clips().to(dtype)
    augmented, cells = ClipAugmentation()(clips, generator=generator())
    assert augmented.dtype == dtype
    assert augmented.shape == clips.shape
    assert cells is None


def test_clip_augmentation__places_are_exact_under_autocast():
    clips, augment = smooth_clips(size=64), ClipAugmentation()
    expected, _ = augment(clips, generator=generator())
    with torch.autocast("cpu", torch.bfloat16):
        augmented, _ = augment(clips, generator=generator())
    assert torch.equal(augmented, expected)


def test_clip_augmentation__flip_alone_moves_pixels_exactly():
    clips = smooth_clips()
    augment = ClipAugmentation(flip=1, crop_scale=(1, 1), color=0)
    assert torch.equal(augment(clips)[0], clips.flip(-1))


def test_clip_augmentation__nothing_to_do():
    clips = smooth_clips()
    augment = ClipAugmentation(flip=0, crop_scale=(1, 1), color=0)
    cells = torch.ones(2, 3, 4, 4, dtype=torch.int32)
    videos, same = augment(clips, cells)
    assert torch.equal(videos, clips)
    assert torch.equal(same, cells)


def test_clip_augmentation__all_frames_alike():
    """Frames that were equal stay equal: nothing may look like motion."""
    clips = smooth_clips(2, 1).expand(-1, -1, 4, -1, -1)
    augmented, _ = ClipAugmentation(color=0.5)(clips, generator=generator())
    assert torch.equal(augmented[:, :, 0], augmented[:, :, 3])
    assert not torch.equal(augmented[0], augmented[1])


def test_mirror_cells__left_and_right_change_places():
    labels = torch.zeros(1, 1, 16, 32, dtype=torch.int64)
    labels[..., 1, 1] = Label.LEFT_EYE
    labels[..., 1, 30] = Label.RIGHT_EYEBROW
    labels[..., 9, 12] = Label.NOSE
    labels[..., 9, 13] = Label.RIGHT_EYE
    mirrored = labels.flip(-1)
    swapped = mirrored.clone()
    for one, other in ((2, 3), (3, 2), (4, 5), (5, 4)):
        swapped[mirrored == one] = other
    cells = RegionCells.from_labels(labels).bits
    flipped = mirror_cells(cells)
    assert torch.equal(flipped, RegionCells.from_labels(swapped).bits)
    assert torch.equal(mirror_cells(flipped), cells)


def test_mirror_cells__every_bit_mask():
    cells = torch.arange(2**11, dtype=torch.int32).reshape(1, 1, 1, -1)
    flipped = mirror_cells(cells).flip(-1).flatten().tolist()
    partner = {2: 3, 3: 2, 4: 5, 5: 4}
    for bits, found in enumerate(flipped):
        labels = [k for k in range(11) if bits >> k & 1]
        assert found == sum(1 << partner.get(k, k) for k in labels)


def test_crop_cells__whole_frame_changes_nothing():
    cells = torch.randint(2**11, (2, 3, 28, 28), dtype=torch.int32)
    box = torch.tensor([[0, 0, 1, 1]] * 2, dtype=torch.float64)
    assert torch.equal(crop_cells(cells, box), cells)


def test_crop_cells__known_values():
    cells = torch.tensor([[1, 2, 4, 8]], dtype=torch.int32).repeat(4, 1)[None, None]
    box = torch.tensor([[0.25, 0, 0.5, 1]], dtype=torch.float64)
    assert crop_cells(cells, box)[0, 0, 0].tolist() == [2, 2, 4, 4]
    box = torch.tensor([[0.125, 0, 0.75, 1]], dtype=torch.float64)
    # Edges at 0.5, 1.25, 2, 2.75, 3.5 cells.
    assert crop_cells(cells, box)[0, 0, 0].tolist() == [3, 2, 4, 12]


@pytest.mark.parametrize("seed", range(5))
def test_clip_augmentation__a_region_stays_over_its_pixels(seed):
    """Labels as colours: what a pixel shows is among the labels of its cell."""
    gen = generator(seed)
    labels = torch.randint(1, 11, (2, 2, 8, 8), generator=gen)
    labels = labels.repeat_interleave(8, -1).repeat_interleave(8, -2)
    cells = RegionCells.from_labels(labels).bits
    augment = ClipAugmentation(crop_scale=(0.3, 1), color=0, flip=0)
    _, box, _ = changes = augment.draw(2, gen)
    moved = crop_cells(cells, box)
    place = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    for b in range(2):
        left, top, width, height = box[b]
        rows = ((top + place * height) * 64).floor().long()
        columns = ((left + place * width) * 64).floor().long()
        shown = labels[b][:, rows][:, :, columns]
        over = moved[b].repeat_interleave(8, -1).repeat_interleave(8, -2)
        assert ((over >> shown) & 1).all()
    # And the pixels themselves move that way: far from edges, no colour is a mixture.
    clips = (labels / 10)[:, None].expand(-1, 3, -1, -1, -1).float()
    pixels = augment.apply_changes(clips, changes)
    shown = (pixels[:, 0] * 10).round().long()
    over = moved.repeat_interleave(8, -1).repeat_interleave(8, -2)
    pure = (pixels[:, 0] * 10 - shown).abs() < 1e-4
    assert pure.float().mean() > 0.5
    assert ((over >> shown) & 1)[pure].float().mean() > 0.98


def test_clip_augmentation__flips_clip_and_cells_together():
    clips = smooth_clips(4, 2, 32)
    cells = torch.randint(2**11, (4, 2, 4, 4), dtype=torch.int32)
    augment = ClipAugmentation(crop_scale=(1, 1), color=0)
    videos, moved = augment(clips, cells, generator=generator(1))
    flips = [torch.equal(v, c.flip(-1)) for v, c in zip(videos, clips, strict=True)]
    assert 0 < sum(flips) < 4
    for clip, before, flipped in zip(moved, cells, flips, strict=True):
        assert torch.equal(clip, mirror_cells(before) if flipped else before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": 1.5}, r"Invalid flip 1.5: must be in \[0, 1\]"),
        ({"crop_scale": (0, 1)}, r"Invalid crop_scale \(0, 1\): must be two shares"),
        ({"crop_scale": (0.9, 0.8)}, "Invalid crop_scale"),
        ({"crop_ratio": (2, 1)}, "Invalid crop_ratio"),
        ({"color": -0.1}, "Invalid color -0.1"),
    ],
)
def test_clip_augmentation__invalid_options(options, message):
    with pytest.raises(ValueError, match=message):
        ClipAugmentation(**options)


@pytest.mark.parametrize(
    ("videos", "cells", "message"),
    [
        (torch.zeros(3, 2, 8, 8), None, r"shape of videos \(3, 2, 8, 8\)"),
        (torch.zeros(1, 1, 2, 8, 8), None, "shape of videos"),
        (torch.zeros(1, 3, 2, 8, 8).long(), None, "dtype of videos torch.int64"),
        (torch.zeros(1, 3, 2, 8, 8), torch.zeros(1, 3, 1, 1).int(), "Invalid cells"),
        (torch.zeros(1, 3, 2, 8, 8), torch.zeros(1, 2, 1, 1), "Invalid cells"),
    ],
)
def test_clip_augmentation__invalid_input(videos, cells, message):
    with pytest.raises(ValueError, match=message):
        ClipAugmentation()(videos, cells)


def test_clip_augmentation__changes_are_public():
    changes = ClipChanges(
        torch.tensor([True]),
        torch.tensor([[0, 0, 1, 1]], dtype=torch.float64),
        torch.ones(1, 3),
    )
    clips = smooth_clips(1)
    augmented = ClipAugmentation().apply_changes(clips, changes)
    torch.testing.assert_close(augmented, clips.flip(-1), rtol=0, atol=1e-5)
