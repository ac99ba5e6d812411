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


DTYPES = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
DTYPES += [torch.uint16, torch.uint32, torch.uint64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_region_cells__integer_dtypes(dtype):
    bits = RegionCells.from_labels(torch.full((8, 8), 10, dtype=dtype)).bits
    assert bits.item() == 1 << 10
    with pytest.raises(ValueError, match=r"Invalid labels in \[11, 11\]"):
        RegionCells.from_labels(torch.full((8, 8), 11, dtype=dtype))


def test_region_cells__behave_as_their_bits():
    cells = RegionCells(torch.arange(16, dtype=torch.int32).reshape(1, 4, 2, 2))
    assert cells.shape == (1, 4, 2, 2)
    assert len(cells) == 1
    assert torch.equal(cells[0, 2:], cells.bits[0, 2:])
    assert cells == cells
    assert cells != RegionCells(cells.bits)
    assert [frame.shape for frame in cells] == [(4, 2, 2)]


def test_region_cells__values_on_other_devices_are_not_read():
    # A meta tensor has no values: reading one would raise.
    labels = torch.zeros(2, 16, 16, dtype=torch.int64, device="meta")
    assert RegionCells.from_labels(labels).shape == (2, 2, 2)


def test_region_cells__errors():
    with pytest.raises(ValueError, match="must be an int32 tensor"):
        RegionCells(torch.zeros(2, 2))
    with pytest.raises(
        TypeError, match="Invalid labels of type list: must be a tensor"
    ):
        RegionCells.from_labels([[0]])
    with pytest.raises(ValueError, match=r"Invalid labels in \[0, 12\]"):
        RegionCells.from_labels(torch.tensor([[0, 12]]))
    with pytest.raises(ValueError, match="Invalid size of labels 8x12"):
        RegionCells.from_labels(torch.zeros(8, 12, dtype=torch.int64))
    cells = RegionCells(torch.zeros(2, 2, dtype=torch.int32))
    with pytest.raises(ValueError, match="Invalid patch_size 14: region cells serve"):
        cells.to_patches(14)
    with pytest.raises(ValueError, match="must divide height 16"):
        cells.to_patches(24)


@pytest.mark.parametrize("size", [8, 24, 40, 64, 88, 128])
def test_resized__labels_of_overlapped_cells(size):
    generator = torch.Generator().manual_seed(size)
    bits = torch.randint(0, 2**11, (2, 8, 8), generator=generator, dtype=torch.int32)
    count = size // 8
    expected = torch.zeros(2, count, count, dtype=torch.int32)
    for row in range(count):
        for column in range(count):
            for old_row in range(8):
                for old_column in range(8):
                    # Both grids in units of 1 / (8 count) of the frame.
                    rows = min((row + 1) * 8, (old_row + 1) * count) > max(
                        row * 8, old_row * count
                    )
                    columns = min((column + 1) * 8, (old_column + 1) * count) > max(
                        column * 8, old_column * count
                    )
                    if rows and columns:
                        expected[:, row, column] |= bits[:, old_row, old_column]
    assert torch.equal(RegionCells(bits).resized(size).bits, expected)


def test_resized__frames_without_a_face_stay_so():
    cells = RegionCells(torch.zeros(3, 28, 28, dtype=torch.int32))
    assert not cells.resized(112).bits.any()


@pytest.mark.parametrize("size", [0, 12, -16])
def test_resized__bad_size(size):
    with pytest.raises(ValueError, match=f"size {size}: must be a multiple of 8"):
        RegionCells(torch.zeros(28, 28, dtype=torch.int32)).resized(size)
