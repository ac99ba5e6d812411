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
    assert not all(
        torch.equal(first[0], other)
        for other in (
            masking(name)(cells(), 6)[0],
            masking(name)(cells(), 5, rank=1)[0],
            masking(name, seed=1)(cells(), 5)[0],
        )
    )


def test_batch_masking__passes_mode_on():
    kept, _ = masking(mode="tube")(cells(), 0)
    assert torch.equal(kept[:, :4] + 16, kept[:, 4:])


def test_batch_masking__unknown_name():
    with pytest.raises(ValueError, match=r"Invalid mask \('x'\).*fasking, tube, frame"):
        masking("x")
