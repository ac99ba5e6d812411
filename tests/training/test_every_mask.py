import pytest
import torch

from lightly_marlin.regions import Label, RegionCells
from lightly_marlin.training import MASKS
from lightly_marlin.training.every_mask import draw_every_mask


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
    assert set(MASKS) < set(masks)
    sizes = {name: len(idx_mask) for name, idx_mask in masks.items()}
    assert sizes.pop("fasking, decoded half") == 12
    assert set(sizes.values()) == {24}
    # The nose is hidden first, or shown first: it is a quarter of all tokens.
    nose = {5, 6, 9, 10, 21, 22, 25, 26}
    assert nose <= set(masks["fasking"].tolist())
    assert not nose & set(masks["fasking, opposite"].tolist())
    strict = masks["fasking, strict tube"].tolist()
    assert {token + 16 for token in strict if token < 16} == {
        t for t in strict if t > 15
    }
    assert set(masks["fasking, decoded half"].tolist()) < set(masks["fasking"].tolist())


def test_the_seed_and_the_ratio_count():
    first, again, other, half = (
        draw(ratio, seed=seed)
        for ratio, seed in ((0.75, 0), (0.75, 0), (0.75, 1), (0.5, 0))
    )
    for name, idx_mask in first.items():
        assert torch.equal(idx_mask, again[name])
        assert len(half[name]) < len(idx_mask)
    assert not torch.equal(first["random"], other["random"])


def test_bad_ratio():
    with pytest.raises(ValueError, match=r"Invalid mask_ratio 1\.5"):
        draw(1.5)
