import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightly.models.utils import get_at_index

from lightly_marlin import kernels
from lightly_marlin.models.patches import paste_tubelets, patchify, unpatchify


@given(
    grid=st.tuples(*[st.integers(1, 3)] * 3),
    tubelet_size=st.integers(1, 3),
    patch_size=st.integers(1, 4),
)
@settings(max_examples=20, deadline=None)
def test_unpatchify_inverts_patchify(grid, tubelet_size, patch_size):
    t, h, w = grid
    size = (2, 3, t * tubelet_size, h * patch_size, w * patch_size)
    videos = torch.randint(0, 256, size, dtype=torch.uint8)
    patches = patchify(videos, tubelet_size, patch_size)
    assert patches.shape == (2, t * h * w, 3 * tubelet_size * patch_size**2)
    assert torch.equal(unpatchify(patches, grid, tubelet_size, patch_size), videos)


def test_patchify_has_the_order_of_the_kernels():
    videos = torch.rand(2, 3, 4, 32, 48)
    everything = torch.arange(12).expand(2, -1)
    assert torch.equal(patchify(videos), kernels.gather_tubelets(videos, everything))


def test_pasting_replaces_the_named_tubelets_only():
    videos = torch.randint(0, 256, (2, 3, 4, 32, 32), dtype=torch.uint8)
    idx = torch.tensor([[1, 6], [0, 7]])
    new = torch.rand(2, 2, 1536)
    pasted = paste_tubelets(videos, idx, new)
    assert pasted.shape == videos.shape
    torch.testing.assert_close(get_at_index(patchify(pasted), idx), new)
    others = torch.tensor([[0, 2, 3, 4, 5, 7], [1, 2, 3, 4, 5, 6]])
    torch.testing.assert_close(
        get_at_index(patchify(pasted), others),
        get_at_index(patchify(videos / 255), others),
    )


def test_pasted_pixels_are_clamped():
    pasted = paste_tubelets(
        torch.rand(1, 3, 2, 16, 16), torch.tensor([[0]]), torch.full((1, 1, 1536), 7.0)
    )
    assert (pasted == 1).all()


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"patches \(1, 4, 1536\).*grid \(1, 1, 3\)"):
        unpatchify(torch.rand(1, 4, 1536), (1, 1, 3))
    with pytest.raises(ValueError, match=r"patches \(1, 2, 9\).*\(1, 1, 1536\)"):
        paste_tubelets(
            torch.rand(1, 3, 2, 16, 16), torch.tensor([[0]]), torch.rand(1, 2, 9)
        )


def test_no_clips_have_patches_of_the_same_size():
    patches = patchify(torch.zeros(0, 3, 16, 32, 32, dtype=torch.uint8))
    assert patches.shape == (0, 32, 1536)
    assert unpatchify(patches, (8, 2, 2)).shape == (0, 3, 16, 32, 32)
