import pytest
import torch

from lightly_marlin.regions import RegionCells
from lightly_marlin.training import MASKS, BatchMasking


def masking(name="fasking", **changes):
    options = {"grid": (2, 4, 4), "patch_size": 16, "tubelet_size": 2}
    return BatchMasking(name, 0.75, **{**options, **changes})


def cells(batch=3):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 11, (batch, 4, 16, 16), generator=generator)
    labels = labels.repeat_interleave(4, 2).repeat_interleave(4, 3)
    return RegionCells.from_labels(labels).bits


@pytest.mark.parametrize("name", MASKS)
def test_batch_masking__counts_and_repeatability(name):
    first = masking(name)(cells(), 5)
    again = masking(name)(cells(), 5)
    assert first[0].shape == (3, 8)
    assert first[1].shape == (3, 24)
    assert torch.equal(first[0], again[0])


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(
    ("seed", "step", "rank"),
    [(1, 5, 0), (0, 6, 0), (0, 5, 1)],
    ids=["seed", "step", "rank"],
)
def test_batch_masking__seed_step_and_rank_each_matter(name, seed, step, rank):
    many = cells(30)
    first, _ = masking(name)(many, 5)
    other, _ = masking(name, seed=seed)(many, step, rank)
    assert not torch.equal(first, other)


def test_batch_masking__names_are_the_strategies():
    """Told apart by what they keep: whole tubelets, tubes, or neither."""
    kept = {name: masking(name)(cells(20), 0)[0] for name in MASKS}
    tubelets = {n: max(len((r // 16).unique()) for r in kept[n]) for n in kept}
    places = {n: max(len((r % 16).unique()) for r in kept[n]) for n in kept}
    assert tubelets["frame"] == 1
    assert places["tube"] == 4
    assert tubelets["random"] == 2
    assert places["random"] > 4
    assert masking().name == "fasking"


def test_batch_masking__passes_mode_on():
    kept, _ = masking(mode="tube")(cells(), 0)
    assert torch.equal(kept[:, :4] + 16, kept[:, 4:])


def test_batch_masking__unknown_name():
    with pytest.raises(ValueError, match=r"Invalid mask \('x'\).*fasking, tube, frame"):
        masking("x")
