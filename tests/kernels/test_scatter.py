import torch
from naive_kernels import random_idx, random_videos

from lightly_marlin.kernels import gather_tubelets
from lightly_marlin.kernels.scatter import scatter_tokens, scatter_tubelets


def test_scatter_tokens_adds_repeated_rows():
    rows = torch.tensor([[[1.0], [2.0], [4.0]], [[8.0], [16.0], [32.0]]])
    idx = torch.tensor([[0, 2, 2], [1, 1, 1]])
    expected = torch.tensor([[[1.0], [0.0], [6.0]], [[0.0], [56.0], [0.0]]])
    assert torch.equal(scatter_tokens(rows, idx, 3), expected)


def test_scatter_tubelets_puts_back_what_was_gathered():
    videos = random_videos((2, 3, 4, 8, 12), torch.float32)
    sizes = {"tubelet_size": 2, "patch_size": 4}
    idx = random_idx(2, 12, 12)
    pixels = gather_tubelets(videos, idx, **sizes)
    assert torch.equal(
        scatter_tubelets(pixels, idx, shape=videos.shape, **sizes), videos
    )


def test_scatter_tubelets_is_the_transpose_of_the_gather():
    """<gather(v), g> = <v, scatter(g)> for any clips and any rows."""
    videos, idx = torch.rand(2, 3, 4, 8, 12).double(), random_idx(2, 5, 12)
    sizes = {"tubelet_size": 2, "patch_size": 4}
    rows = torch.randn(2, 5, 96).double()
    scattered = scatter_tubelets(rows, idx, shape=videos.shape, **sizes)
    torch.testing.assert_close(
        (gather_tubelets(videos, idx, **sizes) * rows).sum(), (videos * scattered).sum()
    )
