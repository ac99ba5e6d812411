import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_kernels import (
    assert_rounds_to,
    naive_tubelets,
    random_idx,
    random_videos,
    strided_copies,
)
from torch.autograd import gradcheck
from torch.nn import functional as F

from lightly_marlin.kernels import gather_tubelets, reference
from lightly_marlin.kernels.gather_tubelets import gather_tubelets_op

FUNCTIONS = (gather_tubelets, reference.gather_tubelets)


@pytest.mark.parametrize("gather", FUNCTIONS)
@pytest.mark.parametrize("layout", ["c t h w", "t h w c"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(
    ("shape", "tubelet_size", "patch_size"),
    [((2, 3, 4, 16, 24), 2, 8), ((1, 1, 3, 14, 28), 1, 14), ((1, 2, 4, 32, 16), 4, 16)],
)
def test_equals_naive(gather, layout, dtype, shape, tubelet_size, patch_size):
    videos = random_videos(shape, dtype)
    num_tokens = shape[2] // tubelet_size * shape[3] * shape[4] // patch_size**2
    idx = random_idx(shape[0], max(num_tokens - 1, 1), num_tokens)
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    pixels = gather(videos, idx, layout=layout, **sizes)
    expected = naive_tubelets(videos, idx, tubelet_size, patch_size, layout)
    assert pixels.dtype == torch.float32
    torch.testing.assert_close(pixels.double(), expected, atol=1e-7, rtol=0)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 2),
    st.integers(1, 3),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([2, 3, 5]),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    st.integers(0, 9),
)
def test_all_tokens_hold_every_pixel_once(
    batch_size, channels, tubelet_size, patch_size, grid, seed
):
    t, h, w = grid
    size = (t * tubelet_size, h * patch_size, w * patch_size)
    videos = random_videos((batch_size, channels, *size), seed=seed)
    idx = torch.arange(t * h * w).repeat(batch_size, 1)
    pixels = gather_tubelets(
        videos, idx, tubelet_size=tubelet_size, patch_size=patch_size
    )
    ours = (pixels * 255).round().flatten(1).sort(dim=1).values
    assert torch.equal(ours, videos.flatten(1).sort(dim=1).values.float())


@pytest.mark.parametrize("gather", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32])
@pytest.mark.parametrize("name", strided_copies(torch.zeros(2, 3, 4, 32, 32)))
def test_any_strides(gather, dtype, name):
    videos = strided_copies(random_videos((2, 3, 4, 32, 48), dtype))[name]
    assert not videos.is_contiguous()
    idx = random_idx(2, 5, 12)
    pixels = gather(videos, idx)
    assert torch.equal(pixels, gather(videos.contiguous(), idx))
    assert gather is reference.gather_tubelets or pixels.is_contiguous()


def test_equals_convolution():
    """A tubelet embedding is a convolution; gathered rows times its weight equal it."""
    videos = random_videos((2, 3, 4, 32, 32), torch.float64)
    weight = torch.randn(7, 3, 2, 16, 16, dtype=torch.float64)
    tokens = F.conv3d(videos, weight, stride=(2, 16, 16)).flatten(2).transpose(1, 2)
    idx = torch.tensor([[0, 3, 6], [1, 4, 7]])
    embedded = gather_tubelets(videos, idx) @ weight.flatten(1).T
    torch.testing.assert_close(embedded[0], tokens[0, idx[0]])
    torch.testing.assert_close(embedded[1], tokens[1, idx[1]])


@pytest.mark.parametrize("gather", FUNCTIONS)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_mean_and_std_per_channel(gather, as_tensor):
    videos, idx = random_videos((1, 3, 2, 16, 32)), torch.tensor([[1]])
    mean, std = [0.5, 0.25, 0.0], [0.5, 1.0, 2.0]
    plain = gather(videos, idx).unflatten(2, (3, -1))
    expected = plain - torch.tensor(mean).view(3, 1)
    expected = (expected / torch.tensor(std).view(3, 1)).flatten(2)
    if as_tensor:
        mean, std = torch.tensor(mean), torch.tensor(std)
    torch.testing.assert_close(gather(videos, idx, mean=mean, std=std), expected)


@pytest.mark.parametrize("gather", FUNCTIONS)
@pytest.mark.parametrize(
    "video_dtype",
    [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64],
)
@pytest.mark.parametrize("dtype", [None, torch.float16, torch.bfloat16, torch.float32])
def test_dtype(gather, video_dtype, dtype):
    videos, idx = random_videos((1, 3, 2, 16, 32), video_dtype), torch.tensor([[1]])
    pixels = gather(videos, idx, dtype=dtype)
    own = torch.float32 if video_dtype == torch.uint8 else video_dtype
    assert pixels.dtype == (dtype or own)
    # One rounding, from exact pixels: not one after every step.
    exact = gather(videos, idx, dtype=torch.float64 if dtype is None else None)
    if pixels.dtype.itemsize == 2:
        assert_rounds_to(pixels, exact)
    else:
        torch.testing.assert_close(pixels, exact.to(pixels.dtype), atol=1e-7, rtol=1e-6)


def test_white_is_exactly_one():
    videos = torch.full((1, 3, 2, 16, 16), 255, dtype=torch.uint8)
    pixels = gather_tubelets(videos, torch.zeros(1, 1, dtype=torch.int64))
    assert torch.equal(pixels, torch.ones(1, 1, 1536))


def test_no_index_gives_no_row():
    idx = torch.empty(2, 0, dtype=torch.int64)
    assert gather_tubelets(random_videos((2, 3, 2, 16, 16)), idx).shape == (2, 0, 1536)


@pytest.mark.parametrize("layout", ["c t h w", "t h w c"])
@pytest.mark.parametrize("std", [None, [0.5, 2.0]])
def test_gradcheck(layout, std):
    videos = torch.rand(2, 2, 4, 4, 6, dtype=torch.float64, requires_grad=True)
    options = {"tubelet_size": 2, "patch_size": 2, "layout": layout, "std": std}
    idx = torch.tensor([[0, 5, 11], [3, 3, 7]])  # a repeated token adds up
    assert gradcheck(lambda v: gather_tubelets(v, idx, **options), (videos,))
    permuted = videos.detach().permute(0, 2, 3, 4, 1).contiguous().requires_grad_()
    assert gradcheck(
        lambda v: gather_tubelets(v.permute(0, 4, 1, 2, 3), idx, **options),
        (permuted,),
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_gradient_equals_reference(dtype):
    idx, grads = random_idx(2, 5, 8), []
    for gather in FUNCTIONS:
        videos = random_videos((2, 3, 4, 32, 32), dtype).requires_grad_()
        pixels = gather(videos, idx, mean=[0.1, 0.2, 0.3], std=[0.5, 1.5, 3.0])
        pixels.square().sum().backward()
        grads.append(videos.grad)
    assert grads[0].dtype == dtype
    torch.testing.assert_close(grads[0], grads[1])


def test_bytes_have_no_gradient():
    assert not gather_tubelets(
        random_videos((1, 3, 2, 16, 16)), torch.zeros(1, 1, dtype=torch.int64)
    ).requires_grad


@pytest.mark.parametrize("layout", ["c t h w", "t h w c"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("strided", [False, True])
def test_opcheck(layout, dtype, strided):
    videos = random_videos((2, 3, 2, 16, 32), dtype)
    if strided:
        videos = strided_copies(videos)["time_first_channels_last"]
    if dtype == torch.float32:
        videos.requires_grad_()
    mean, std = torch.rand(3), torch.rand(3) + 0.5
    idx = torch.tensor([[0], [1]])
    torch.library.opcheck(
        gather_tubelets_op, (videos, idx, mean, std, 2, 16, torch.bfloat16, layout)
    )


IDX = torch.tensor([[0], [1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"videos": torch.zeros(3, 4, 4)}, r"videos must have shape \(B, C, T, H, W\)"),
        ({"videos": torch.zeros(2, 3, 2, 16, 32).int()}, "got dtype torch.int32"),
        ({"videos": torch.zeros(2, 3, 3, 16, 32)}, r"frames .* tubelet_size \(2\)"),
        ({"videos": torch.zeros(2, 3, 2, 17, 32)}, r"height .* got 17 in shape"),
        ({"videos": torch.zeros(2, 3, 2, 16, 0)}, r"width .* got 0 in shape"),
        ({"idx": IDX.int()}, "idx must have dtype torch.int64, got torch.int32"),
        ({"idx": IDX[0]}, r"idx must have shape \(B, n\) with B = 2"),
        ({"idx": IDX[:1]}, r"got shape \(1, 1\)"),
        ({"idx": IDX + 1}, r"must be in \[0, 2\), got values in \[1, 2\]"),
        ({"idx": IDX - 1}, r"must be in \[0, 2\), got values in \[-1, 0\]"),
        ({"patch_size": 0}, "patch_size must be an integer >= 1, got 0"),
        ({"tubelet_size": 2.0}, "tubelet_size must be an integer >= 1, got 2.0"),
        (
            {"layout": "h w"},
            r"Invalid layout \('h w'\). Supported values are 'c t h w'",
        ),
        ({"dtype": torch.int64}, "dtype must be a floating-point dtype"),
        ({"mean": [0.5]}, "mean must have one value for each of 3 channels"),
        ({"std": torch.ones(3, 1)}, r"std must have one value .* got shape \(3, 1\)"),
        ({"std": [1.0, 0.0, 1.0]}, "std must be > 0, got"),
    ],
)
def test_bad_arguments(options, message):
    arguments = {"videos": torch.zeros(2, 3, 2, 16, 32), "idx": IDX, **options}
    with pytest.raises(ValueError, match=message):
        gather_tubelets(**arguments)


@pytest.mark.parametrize("options", [{"videos": [1]}, {"idx": [[0]]}])
def test_no_tensor(options):
    arguments = {"videos": torch.zeros(2, 3, 2, 16, 32), "idx": IDX, **options}
    with pytest.raises(TypeError, match=r"must be a torch\.Tensor, got list"):
        gather_tubelets(**arguments)
