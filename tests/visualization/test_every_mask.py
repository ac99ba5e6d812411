import pytest
import torch

from lightly_marlin.regions import Label, RegionCells
from lightly_marlin.transforms import mask_names
from lightly_marlin.visualization import draw_every_mask


def draw(*arguments, **options):
    generator = torch.Generator().manual_seed(0)
    video = torch.randint(0, 256, (3, 4, 64, 64), generator=generator).to(torch.uint8)
    labels = torch.zeros(4, 64, 64, dtype=torch.int64)
    labels[:, 16:48, 16:48] = Label.NOSE
    return draw_every_mask(
        video, RegionCells.from_labels(labels).bits, *arguments, **options
    )


def test_every_strategy_is_there():
    masks = draw(0.75)
    assert set(mask_names()) < set(masks)
    assert all(len(mask.idx_mask) == 24 and mask.note for mask in masks.values())
    # The nose is hidden first, or shown first: it is a quarter of all tokens.
    nose = {5, 6, 9, 10, 21, 22, 25, 26}
    tokens = {name: set(mask.idx_mask.tolist()) for name, mask in masks.items()}
    assert nose <= tokens["fasking"]
    assert not nose & tokens["fasking, opposite"]
    strict = tokens["fasking, strict tube"]
    assert {t + 16 for t in strict if t < 16} == {t for t in strict if t > 15}


def test_half_of_fasking_is_decoded():
    masks = draw(0.75)
    half = masks.pop("fasking, half decoded")
    assert torch.equal(half.idx_mask, masks["fasking"].idx_mask)
    assert len(half.idx_decode) == 12
    assert set(half.idx_decode.tolist()) < set(half.idx_mask.tolist())
    assert all(mask.idx_decode is None for mask in masks.values())


def test_covered_regions_are_named():
    """CRFR-P hides the only region that there is."""
    assert draw(0.5)["crfrp"].note.endswith("hidden whole here: nose")


def test_the_seed_and_the_ratio_count():
    first, again, other, half = (
        draw(ratio, seed=seed)
        for ratio, seed in ((0.75, 0), (0.75, 0), (0.75, 1), (0.5, 0))
    )
    for name, mask in first.items():
        assert torch.equal(mask.idx_mask, again[name].idx_mask)
        assert len(half[name].idx_mask) < len(mask.idx_mask)
    assert not torch.equal(first["random"].idx_mask, other["random"].idx_mask)


def test_bad_ratio():
    with pytest.raises(ValueError, match=r"Invalid mask_ratio 1\.5"):
        draw(1.5)
