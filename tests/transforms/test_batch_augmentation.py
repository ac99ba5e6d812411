import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from lightly_marlin.regions import Label, RegionCells
from lightly_marlin.transforms import (
    BatchAugmentation,
    BatchMasking,
    ClipAugmentation,
)
from lightly_marlin.transforms.clip_draws import step_positions

FULL = ClipAugmentation(flip=0.5, crop_scale=(0.5, 1), color=0.3)


def make_batch(batch=3, dtype=torch.uint8):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 3, 4, 32, 32), generator=generator)
    video = pixels.to(torch.uint8) if dtype == torch.uint8 else pixels.to(dtype) / 255
    cells = torch.randint(2**11, (batch, 4, 4, 4), generator=generator)
    return {"video": video, "regions": cells.int(), "track_id": ["a"] * batch}


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in ("video", "regions"))


def nose_batch(batch):
    """A white square, which is the nose, on black skin: 64 pixels, 8 cells a side."""
    labels = torch.full((batch, 2, 64, 64), int(Label.SKIN))
    labels[:, :, 20:44, 8:40] = Label.NOSE
    video = (255 * (labels == Label.NOSE)).to(torch.uint8)
    return {
        "video": video[:, None].repeat(1, 3, 1, 1, 1),
        "regions": RegionCells.from_labels(labels).bits,
    }


@given(
    flip=st.floats(0, 1),
    least=st.floats(0.1, 1),
    color=st.floats(0, 1),
    place=st.tuples(
        st.integers(0, 2**32 - 1), st.integers(0, 10**6), st.integers(0, 9)
    ),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
)
@settings(max_examples=25, deadline=None)
def test_batch_augmentation__same_step_same_clips(flip, least, color, place, dtype):
    """Whatever the options: fit for the kernels, repeatable, input untouched."""
    seed, *place = place
    places = step_positions(3, *place)
    clips = ClipAugmentation(flip=flip, crop_scale=(least, 1), color=color)
    augment = BatchAugmentation(clips, seed=seed)
    batch = make_batch(dtype=dtype)
    first = augment(batch, 0, places)
    torch.manual_seed(seed)
    assert equal(first, augment(batch, 0, places))
    assert equal(batch, make_batch(dtype=dtype))
    assert first["track_id"] is batch["track_id"]
    for name in ("video", "regions"):
        assert first[name].shape == batch[name].shape
        assert first[name].dtype == batch[name].dtype
        assert first[name].is_contiguous()
    assert first["video"].min() >= 0
    assert first["video"].max() <= (255 if dtype == torch.uint8 else 1)


@pytest.mark.parametrize(("seed", "step"), [(1, 5), (0, 6)], ids=["seed", "step"])
def test_batch_augmentation__seed_and_step_each_matter(seed, step):
    batch = make_batch()
    first = BatchAugmentation(FULL, seed=0)(batch, 5)
    assert not equal(first, BatchAugmentation(FULL, seed=seed)(batch, step))


def test_batch_augmentation__any_number_of_devices_changes_the_same():
    """A clip's changes are of its position, whatever clips are beside it."""
    augment, batch = BatchAugmentation(FULL, seed=3), make_batch(4)
    whole = augment(batch, 0, step_positions(4, 8))
    for rank in (0, 1):
        own = {name: batch[name][rank::2] for name in ("video", "regions")}
        part = augment(own, 0, step_positions(2, 8, rank, 2))
        assert torch.equal(part["regions"], whole["regions"][rank::2])
        torch.testing.assert_close(
            part["video"], whole["video"][rank::2], atol=1, rtol=0
        )


def test_batch_augmentation__streams_are_independent():
    first = BatchAugmentation(FULL)(make_batch(), 5)
    assert equal(first, BatchAugmentation(FULL, stream=1)(make_batch(), 5))
    assert not equal(first, BatchAugmentation(FULL, stream=3)(make_batch(), 5))


def test_batch_augmentation__clips_differ_frames_do_not():
    video = make_batch(1)["video"][:, :, :1].expand(3, -1, 4, -1, -1)
    changed = BatchAugmentation(FULL)({"video": video}, 0)["video"]
    assert torch.equal(changed, changed[:, :, :1].expand_as(changed))
    assert not torch.equal(changed[0], changed[1])
    assert not torch.equal(changed[1], changed[2])


@pytest.mark.parametrize("step", range(8))
def test_batch_augmentation__the_nose_stays_under_its_cells(step):
    """Pixels and cells of a known pattern, mirrored and cropped."""
    clips = ClipAugmentation(flip=0.5, crop_scale=(0.3, 1), color=0)
    changed = BatchAugmentation(clips)(nose_batch(4), step)
    white = changed["video"][:, 0] > 127
    nose = (changed["regions"] >> Label.NOSE) & 1 == 1
    over = nose.repeat_interleave(8, -1).repeat_interleave(8, -2)
    assert over[white].all()
    # Nor does it cover more than a cell beyond its border.
    near = F.max_pool2d(white.float(), 24, stride=8, padding=8) > 0
    assert near[nose].all()
    assert not equal(changed, nose_batch(4))


def test_batch_augmentation__without_regions():
    """Clips for masks that need no regions change like those with regions."""
    batch = make_batch()
    changed = BatchAugmentation(FULL)({"video": batch["video"]}, 3)
    assert changed.keys() == {"video"}
    assert torch.equal(changed["video"], BatchAugmentation(FULL)(batch, 3)["video"])


def test_batch_augmentation__independent_of_the_masks():
    """Flips and the first draw of a mask, over many steps."""
    masking = BatchMasking(
        "tube", 0.5, grid=(2, 1, 2), patch_size=16, tubelet_size=2, seed=0
    )
    batch = {
        "video": torch.arange(2.0).repeat(16, 3, 4, 1, 1) / 2,
        "regions": torch.zeros(16, 4, 1, 2, dtype=torch.int32),
    }
    augment = BatchAugmentation(ClipAugmentation(crop_scale=(1, 1), color=0))
    flips = [augment(batch, step)["video"][:, 0, 0, 0, 0] > 0 for step in range(100)]
    kept = [masking(batch["regions"], step)[0][:, 0] > 0 for step in range(100)]
    pairs = torch.stack([torch.cat(flips), torch.cat(kept)]).float()
    assert (pairs.mean(dim=1) - 0.5).abs().max() < 0.04
    assert torch.corrcoef(pairs)[0, 1].abs() < 0.08


def test_batch_augmentation__no_clips():
    changed = BatchAugmentation(FULL)(make_batch(0), 0)
    assert changed["video"].shape == (0, 3, 4, 32, 32)
    assert changed["regions"].shape == (0, 4, 4, 4)


def test_batch_augmentation__invalid_cells():
    batch = {**make_batch(), "regions": torch.zeros(3, 2, 4, 4, dtype=torch.int32)}
    with pytest.raises(ValueError, match=r"Invalid cells of shape \(3, 2, 4, 4\)"):
        BatchAugmentation(FULL)(batch, 0)
