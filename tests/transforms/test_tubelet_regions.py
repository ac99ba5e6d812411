"""Integer tensors of regions: label maps or cells, and where that is unknown."""

import pytest
import torch

from lightly_marlin.regions import Label, RegionCells
from lightly_marlin.transforms import Crfrp, Fasking, crfrp_token_mask
from lightly_marlin.transforms import fasking_token_mask as fasking


def face(side, frames=4):
    """int32 label maps (T, side, side): a nose before the background."""
    labels = torch.zeros(frames, side, side, dtype=torch.int32)
    middle = slice(side // 4, side * 3 // 4)
    labels[:, middle, middle] = Label.NOSE
    return labels


def seeded():
    return torch.Generator().manual_seed(0)


def from_transform(regions, **options):
    return Fasking(0.75, generator=seeded(), **options)({"regions": regions})


def from_function(regions, **options):
    return fasking(regions[None], 0.75, generator=seeded(), **options)[0][0]


@pytest.mark.parametrize("side", [32, 64, 224])
def test_regions__int32_labels_are_labels(side):
    expected = from_function(face(side).long())
    assert torch.equal(from_function(face(side)), expected)
    assert torch.equal(from_transform(face(side))["idx_keep"], expected)
    assert torch.equal(from_transform(face(side).to(torch.uint8))["idx_keep"], expected)


@pytest.mark.parametrize("side", [64, 128, 224])
def test_regions__int32_cells_are_cells(side):
    """By size where patches do not tile them, by their values otherwise."""
    cells = RegionCells.from_labels(face(side))
    expected = fasking(RegionCells(cells.bits[None]), 0.75, generator=seeded())[0][0]
    assert torch.equal(from_transform(cells.bits)["idx_keep"], expected)
    assert torch.equal(from_function(cells.bits), expected)


@pytest.mark.parametrize("value", [-1, 0, 1, 10])
def test_regions__one_label_everywhere(value):
    """No face crop has 1792 pixels a side, so 224 are pixels."""
    labels = torch.full((4, 224, 224), value, dtype=torch.int32)
    assert len(from_transform(labels)["idx_keep"]) == 98
    assert len(from_function(labels)) == 98


@pytest.mark.parametrize("value", [0, 1, 10])
def test_regions__ambiguous(value):
    """16x16 labels of one value, or the cells of 128x128 pixels."""
    regions = torch.full((4, 16, 16), value, dtype=torch.int32)
    message = r"Invalid regions.*\(4, 16, 16\).*RegionCells\(regions\).*regions\.long"
    with pytest.raises(ValueError, match=message):
        from_transform(regions)
    with pytest.raises(ValueError, match=r"\(1, 4, 16, 16\)"):
        from_function(regions)
    with pytest.raises(ValueError, match=message):
        Crfrp()({"regions": regions})
    with pytest.raises(ValueError, match="Invalid regions"):
        crfrp_token_mask(regions[None])


@pytest.mark.parametrize("value", [0, 1, 10])
def test_regions__ambiguous_ones_as_told(value):
    regions = torch.full((4, 16, 16), value, dtype=torch.int32)
    cells = [RegionCells(regions), regions.long()]
    assert [len(from_transform(each)["idx_mask"]) for each in cells[:1]] == [96]
    one_token = Fasking(0.5, generator=seeded())({"regions": cells[1]})
    assert len(one_token["idx_mask"]) == 1


@pytest.mark.parametrize("side", [16, 128])
def test_regions__the_video_says_which(side):
    regions = torch.ones(4, 16, 16, dtype=torch.int32)
    sample = {"regions": regions, "video": torch.zeros(3, 4, side, side)}
    tokens = Fasking(0.5)(sample)
    assert len(tokens["idx_keep"]) + len(tokens["idx_mask"]) == 2 * (side // 16) ** 2


def test_regions__patches_that_cells_cannot_serve():
    """Patches of 14 pixels need labels, whatever the dtype."""
    labels = torch.ones(4, 28, 28, dtype=torch.int32)
    assert len(from_transform(labels, patch_size=14)["idx_mask"]) == 6


def test_regions__values_that_are_neither():
    classes = face(64) * 3
    with pytest.raises(ValueError, match=r"Invalid labels in \[0, 18\]"):
        from_transform(classes)
