import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.regions import NUM_LABELS, RegionCells, labels_to_patches


def occurring(square):
    return sum(1 << label for label in set(square.flatten().tolist()) if label >= 0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), patch=st.sampled_from([8, 16, 24]))
def test_region_cells__equal_naive_occurrence(seed, patch):
    generator = torch.Generator().manual_seed(seed)
    # Large blocks, so that most cells hold few labels.
    labels = torch.randint(0, NUM_LABELS, (2, 12, 12), generator=generator)
    labels = labels.repeat_interleave(4, -1).repeat_interleave(4, -2)
    bits = RegionCells.from_labels(labels).to_patches(patch)
    assert bits.shape == (2, 48 // patch, 48 // patch)
    for index in range(2):
        for row in range(48 // patch):
            for column in range(48 // patch):
                y, x = row * patch, column * patch
                square = labels[index, y : y + patch, x : x + patch]
                assert bits[index, row, column] == occurring(square)
    assert torch.equal(bits, labels_to_patches(labels, patch))


def test_region_cells__no_face_is_zero():
    labels = torch.full((1, 2, 16, 16), -1)
    labels[:, 1] = 0
    bits = RegionCells.from_labels(labels).bits
    assert bits.dtype == torch.int32
    assert bits[0, 0].eq(0).all()
    assert bits[0, 1].eq(1).all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
def test_region_cells__integer_dtypes(dtype):
    bits = RegionCells.from_labels(torch.full((8, 8), 10, dtype=dtype)).bits
    assert bits.item() == 1 << 10


def test_region_cells__errors():
    with pytest.raises(ValueError, match="must be an int32 tensor"):
        RegionCells(torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"Invalid labels in \[0, 12\]"):
        RegionCells.from_labels(torch.tensor([[0, 12]]))
    with pytest.raises(ValueError, match="Invalid size of labels 8x12"):
        RegionCells.from_labels(torch.zeros(8, 12, dtype=torch.int64))
    cells = RegionCells(torch.zeros(2, 2, dtype=torch.int32))
    with pytest.raises(ValueError, match="Invalid patch_size 14: region cells serve"):
        cells.to_patches(14)
    with pytest.raises(ValueError, match="must divide height 16"):
        cells.to_patches(24)
