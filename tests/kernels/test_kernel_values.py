"""Values of the ops against the references in float64.

On a GPU, and under Triton's interpreter (see test_interpreted.py), these are the
kernels; elsewhere the plain bodies, which must pass as well.
"""

import pytest
import torch
from naive_kernels import random_idx, random_videos, strided_copies

from lightly_marlin.kernels import (
    assemble_decoder_tokens,
    gather_tokens,
    gather_tubelets,
    masked_motion_losses,
    masked_reconstruction_loss,
    reference,
)
from lightly_marlin.kernels.masked_reconstruction_loss import LOSSES
from lightly_marlin.kernels.tiles import parse_tiles, use_tiles

pytestmark = pytest.mark.usefixtures("poisoned")

HALF = (torch.float16, torch.bfloat16)
FLOATS = (*HALF, torch.float32)
# Rounding to the dtype, twice as much for the interpreter, which cuts bits off.
TOLERANCE = {torch.float16: 2e-3, torch.bfloat16: 1.6e-2, torch.float32: 2e-6}
# B, C, T, H, W, tubelet, patch, chosen tokens: one token, all tokens, odd ones.
GEOMETRIES = {
    "one_token": (1, 3, 2, 16, 16, 2, 16, 1),
    "all_tokens": (2, 3, 4, 32, 16, 2, 16, 4),
    "patch_8": (2, 1, 1, 24, 16, 1, 8, 3),
    "patch_14": (1, 3, 4, 14, 42, 4, 14, 2),
    "patch_40_in_blocks": (1, 3, 2, 40, 80, 2, 40, 1),
    "five_channels": (1, 5, 2, 12, 12, 1, 6, 3),
}


def _close(actual, expected, dtype=None):
    assert actual.isfinite().all()
    tolerance = TOLERANCE[dtype or actual.dtype]
    torch.testing.assert_close(
        actual.cpu().double(), expected, rtol=tolerance, atol=tolerance
    )


def _clips(geometry, dtype, device):
    *shape, tubelet, patch, count = GEOMETRIES[geometry]
    tokens = shape[2] // tubelet * shape[3] * shape[4] // patch**2
    videos, idx = random_videos(shape, dtype), random_idx(shape[0], count, tokens)
    sizes = {"tubelet_size": tubelet, "patch_size": patch}
    return videos.to(device), idx.to(device), sizes


def _exact(videos):
    """Clips as float64 on the CPU, scaled as uint8 clips are."""
    videos = videos.cpu()
    return videos.double() / 255 if videos.dtype == torch.uint8 else videos.double()


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("layout", ["c t h w", "t h w c"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16])
def test_gather_tubelets(geometry, layout, dtype, device):
    videos, idx, sizes = _clips(geometry, dtype, device)
    channels = videos.shape[1]
    values = {
        "mean": [0.1 * (c + 1) for c in range(channels)],
        "std": [0.5 + c for c in range(channels)],
        "layout": layout,
        **sizes,
    }
    expected = reference.gather_tubelets(_exact(videos), idx.cpu(), **values)
    _close(gather_tubelets(videos, idx, dtype=torch.float32, **values), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, *FLOATS])
@pytest.mark.parametrize("out", FLOATS)
@pytest.mark.parametrize("order", [None, *strided_copies(torch.zeros(1, 1, 1, 1, 1))])
def test_gather_tubelets__dtypes_and_strides(dtype, out, order, device):
    videos = random_videos((2, 3, 4, 16, 24), dtype).to(device)
    videos = videos if order is None else strided_copies(videos)[order]
    idx = random_idx(2, 5, 12).to(device)
    pixels = gather_tubelets(videos, idx, patch_size=8, dtype=out)
    expected = reference.gather_tubelets(_exact(videos), idx.cpu(), patch_size=8)
    _close(pixels, expected)


@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_gather_tubelets__ends_of_the_range(value, device):
    videos = torch.full((1, 3, 2, 16, 16), value, dtype=torch.uint8, device=device)
    pixels = gather_tubelets(videos, torch.zeros(1, 1, dtype=torch.int64).to(device))
    expected = torch.full_like(pixels, value) / 255
    torch.testing.assert_close(pixels, expected, rtol=1.2e-7, atol=0)
    assert pixels.max() <= 1


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("pos_dtype", [None, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("shape", "count"), [((1, 1, 3), 1), ((2, 9, 192), 9), ((3, 7, 50), 4)]
)
def test_gather_tokens(dtype, pos_dtype, shape, count, device):
    tokens = torch.randn(shape, device=device).to(dtype).mT.contiguous().mT
    pos = None
    if pos_dtype is not None:
        pos = torch.randn(1, *shape[1:], device=device).to(pos_dtype)
    # Indices that lie anywhere in memory.
    idx = random_idx(shape[0], count, shape[1]).to(device).mT.contiguous().mT
    expected = reference.gather_tokens(
        tokens.cpu().double(), idx.cpu(), None if pos is None else pos.cpu().double()
    )
    _close(gather_tokens(tokens, idx, pos), expected)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("kept", [1, 4, 7])
def test_assemble_decoder_tokens(dtype, mixed, kept, device):
    visible = torch.randn(2, kept, 96, device=device).to(dtype)
    parameters = torch.float32 if mixed else dtype
    mask_token = torch.randn(1, 1, 96, device=device).to(parameters)
    pos = torch.randn(7, 96, device=device).to(parameters)
    order = random_idx(2, 7, 7).to(device)[:, torch.randperm(7)]
    indices = order[:, :kept], order[:, kept:]
    joined = assemble_decoder_tokens(visible, mask_token, pos, *indices)
    inputs = (part.cpu().double() for part in (visible, mask_token, pos))
    expected = reference.assemble_decoder_tokens(*inputs, *(i.cpu() for i in indices))
    _close(joined, expected)


def _loss(pred, videos, idx, **options):
    """The op's value and the reference's in float64."""
    value = masked_reconstruction_loss(pred, videos, idx, **options)
    exact = reference.masked_reconstruction_loss(
        pred.cpu().double(), _exact(videos), idx.cpu(), **options
    )
    return value, exact


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_loss(geometry, norm_pix, loss, device):
    videos, idx, sizes = _clips(geometry, torch.uint8, device)
    area = sizes["tubelet_size"] * sizes["patch_size"] ** 2
    pred = 2 * torch.randn(*idx.shape, videos.shape[1] * area, device=device)
    value, exact = _loss(pred, videos, idx, norm_pix=norm_pix, loss=loss, **sizes)
    torch.testing.assert_close(value.cpu().double(), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("video_dtype", [torch.uint8, *FLOATS])
@pytest.mark.parametrize("order", [None, "time_first_channels_last"])
def test_loss__dtypes_and_strides(dtype, video_dtype, order, device):
    videos = random_videos((2, 3, 2, 16, 16), video_dtype).to(device)
    videos = videos if order is None else strided_copies(videos)[order]
    idx = random_idx(2, 3, 4).to(device).mT.contiguous().mT
    pred = torch.randn(2, 384, 3, device=device).to(dtype).mT
    value, exact = _loss(pred, videos, idx, patch_size=8, norm_pix=True)
    torch.testing.assert_close(value.cpu().double(), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("off_by_one", [False, True])
def test_loss__patches_that_hardly_vary(level, off_by_one, device):
    """A mean of squares minus a square of the mean would be all rounding here."""
    videos = torch.full((1, 3, 2, 16, 16), level, dtype=torch.uint8, device=device)
    if off_by_one:
        videos[0, 0, 0, 0, 0] = level - 1 if level else 1
    idx = torch.zeros(1, 1, dtype=torch.int64, device=device)
    pred = torch.randn(1, 1, 1536, device=device)
    value, exact = _loss(pred, videos, idx, norm_pix=True)
    torch.testing.assert_close(value.cpu().double(), exact, rtol=1e-4, atol=0)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("loss", LOSSES)
def test_loss__huge_predictions(dtype, loss, device):
    """60000 squared is beyond float16, and so is the sum of many."""
    videos = random_videos((1, 3, 2, 16, 16)).to(device)
    idx = torch.zeros(1, 1, dtype=torch.int64, device=device)
    pred = torch.full((1, 1, 1536), -60000.0, device=device).to(dtype)
    value, exact = _loss(pred, videos, idx, loss=loss)
    assert value.isfinite()
    torch.testing.assert_close(value.cpu().double(), exact, rtol=1e-5, atol=0)


def test_same_bits_in_every_run(device):
    videos = random_videos((2, 3, 2, 32, 32)).to(device)
    idx, pred = random_idx(2, 3, 4).to(device), torch.randn(2, 3, 1536, device=device)
    values = {masked_reconstruction_loss(pred, videos, idx).item() for _ in range(3)}
    assert len(values) == 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("num_clips", [0, 2])
def test_nothing_chosen(num_clips, dtype, device):
    """Of no clips, or no tokens of two: empty results, and gradients of zero."""
    idx = torch.zeros(num_clips, 0 if num_clips else 3, dtype=torch.int64).to(device)
    videos = torch.zeros(num_clips, 3, 4, 32, 32, dtype=dtype, device=device)
    assert gather_tubelets(videos, idx).shape == (*idx.shape, 1536)
    table = torch.rand(1, 8, 6, device=device, requires_grad=True)
    tokens = torch.rand(num_clips, 8, 6, device=device, requires_grad=True)
    chosen = gather_tokens(tokens, idx, table)
    assert chosen.shape == (*idx.shape, 6)
    visible = torch.rand(*idx.shape, 6, device=device, requires_grad=True)
    mask_token = torch.rand(1, 1, 6, device=device, requires_grad=True)
    joined = assemble_decoder_tokens(visible, mask_token, table, idx, idx)
    assert joined.shape == (num_clips, 2 * idx.shape[1], 6)
    (chosen.sum() + joined.sum()).backward()
    for leaf in (table, tokens, visible, mask_token):
        assert torch.equal(leaf.grad, torch.zeros_like(leaf))


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_a_loss_of_nothing_is_refused(shape, device):
    idx = torch.zeros(shape, dtype=torch.int64, device=device)
    videos = torch.zeros(shape[0], 3, 4, 32, 32, device=device)
    pred = torch.zeros(*shape, 1536, device=device)
    with pytest.raises(ValueError, match=r"pred must not be empty.*no clips or no mas"):
        masked_reconstruction_loss(pred, videos, idx)


@pytest.mark.parametrize("geometry", [*GEOMETRIES][:2] + [*GEOMETRIES][3:5])
@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_motion_losses(geometry, norm_pix, loss, device):
    videos, idx, sizes = _clips(geometry, torch.uint8, device)
    area = sizes["tubelet_size"] * sizes["patch_size"] ** 2
    pred = 2 * torch.randn(*idx.shape, videos.shape[1] * area, device=device)
    options = {"norm_pix": norm_pix, "loss": loss, **sizes}
    parts = masked_motion_losses(pred, videos, idx, **options)
    exact = reference.masked_motion_losses(
        pred.cpu().double(), _exact(videos), idx.cpu(), **options
    )
    actual = tuple(part.cpu().double() for part in parts)
    torch.testing.assert_close(actual, exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("video_dtype", [torch.uint8, torch.bfloat16])
@pytest.mark.parametrize("order", [None, "time_first_channels_last"])
def test_motion_losses__dtypes_and_strides(dtype, video_dtype, order, device):
    videos = random_videos((2, 3, 4, 16, 16), video_dtype).to(device)
    videos = videos if order is None else strided_copies(videos)[order]
    idx = random_idx(2, 3, 8).to(device).mT.contiguous().mT
    pred = torch.randn(2, 384, 3, device=device).to(dtype).mT
    options = {"patch_size": 8, "norm_pix": True, "target": "motion"}
    value, exact = _loss(pred, videos, idx, motion_weight=0.3, **options)
    torch.testing.assert_close(value.cpu().double(), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    "sizes", ["rows=64/32,tubelets=64/32", "rows=8192/1024,tubelets=32/32"]
)
def test_other_tiles(sizes, device):
    """Whatever a program works on at once, the numbers are those of the reference."""
    videos, idx, options = _clips("all_tokens", torch.uint8, device)
    pred = torch.randn(*idx.shape, 1536, device=device, requires_grad=True)
    tokens = torch.randn(2, 4, 96, device=device, requires_grad=True)
    with use_tiles(parse_tiles(sizes)):
        pixels = gather_tubelets(videos, idx, **options)
        value, exact = _loss(pred, videos, idx, norm_pix=True, target="motion")
        (grad,) = torch.autograd.grad(0.7 * value, pred)
        chosen = gather_tokens(tokens, idx)
        (grad_tokens,) = torch.autograd.grad(chosen.square().sum(), tokens)
    _close(pixels, reference.gather_tubelets(_exact(videos), idx.cpu(), **options))
    torch.testing.assert_close(value.cpu().double(), exact, rtol=1e-5, atol=0)
    (exact_grad,) = torch.autograd.grad(0.7 * exact, pred)
    torch.testing.assert_close(grad, exact_grad, rtol=1e-4, atol=1e-9)
    _close(grad_tokens, 2 * tokens.detach().cpu().double())


def test_more_clips_than_a_grid_has_places_for(device, monkeypatch):
    """2**16 clips: the plain version serves them, and says so."""
    monkeypatch.delenv("LIGHTLY_MARLIN_KERNELS", raising=False)
    tokens = torch.zeros(2**16, 1, dtype=torch.int64, device=device)
    videos = random_videos((2**16, 1, 1, 1, 1)).to(device)
    pixels = gather_tubelets(videos, tokens, tubelet_size=1, patch_size=1)
    _close(pixels.flatten(), _exact(videos).flatten())
