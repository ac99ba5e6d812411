"""Gradients of the ops against autograd through the references in float64.

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
    masked_reconstruction_loss,
    reference,
    triton_language,
)
from lightly_marlin.kernels.masked_reconstruction_loss import LOSSES
from lightly_marlin.kernels.scale_rows import launch_scale_rows
from lightly_marlin.kernels.triton_language import KERNEL_DEVICES

pytestmark = pytest.mark.usefixtures("poisoned")

FLOATS = (torch.float16, torch.bfloat16, torch.float32)
TOLERANCE = {torch.float16: 2e-3, torch.bfloat16: 1.6e-2, torch.float32: 5e-6}
SIZES = {"tubelet_size": 2, "patch_size": 8}


def _gradients(function, inputs, *others, upstream=None, **options):
    """Gradients of the floating-point inputs, and the result."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    result = function(*inputs, *others, **options)
    upstream = torch.ones_like(result) if upstream is None else upstream.to(result)
    return torch.autograd.grad(result, inputs, upstream)


def _check(op, plain, inputs, *others, upstream=None, **options):
    """Compares the gradients of an op with those of its reference in float64."""
    actual = _gradients(op, inputs, *others, upstream=upstream, **options)
    expected = _gradients(
        plain,
        [x.cpu().double() for x in inputs],
        *(x.cpu() for x in others),
        upstream=None if upstream is None else upstream.cpu(),
        **options,
    )
    for grad, exact, x in zip(actual, expected, inputs, strict=True):
        assert grad.dtype == x.dtype
        assert grad.shape == x.shape
        assert grad.isfinite().all()
        tolerance = TOLERANCE[grad.dtype]
        size = exact.abs().max().clamp(min=1e-30)
        torch.testing.assert_close(
            grad.cpu().double() / size, exact / size, rtol=tolerance, atol=tolerance
        )


def _repeat(idx):
    """Some clips choose a token several times, and out of order."""
    idx = idx.clone()
    idx[0, -1] = idx[0, 0]
    idx[-1, :] = idx[-1, 0]
    return idx


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("layout", ["c t h w", "t h w c"])
def test_gather_tubelets(dtype, repeated, layout, device):
    videos = strided_copies(random_videos((2, 3, 4, 16, 24), dtype).to(device))
    idx = random_idx(2, 5, 12).to(device)
    idx = _repeat(idx) if repeated else idx
    upstream = torch.randn(2, 5, 384, device=device)
    options = {"std": [0.5, 1.0, 3.0], "layout": layout, **SIZES}
    clips = [videos["time_first_channels_last"]]
    _check(
        gather_tubelets,
        reference.gather_tubelets,
        clips,
        idx,
        upstream=upstream,
        **options,
    )


@pytest.mark.parametrize(
    ("patch", "shape"), [(14, (1, 1, 2, 14, 28)), (40, (1, 3, 2, 40, 40))]
)
def test_gather_tubelets__odd_sizes(patch, shape, device):
    clips = [random_videos(shape, torch.float32).to(device)]
    idx = torch.zeros(1, 1, dtype=torch.int64, device=device)
    upstream = torch.randn(1, 1, shape[1] * 2 * patch**2, device=device)
    sizes = {"tubelet_size": 2, "patch_size": patch}
    _check(
        gather_tubelets,
        reference.gather_tubelets,
        clips,
        idx,
        upstream=upstream,
        **sizes,
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize(("shape", "count"), [((1, 1, 3), 1), ((3, 9, 192), 5)])
def test_gather_tokens(dtype, repeated, shape, count, device):
    tokens = torch.randn(shape, device=device).to(dtype)
    pos = torch.randn(1, *shape[1:], device=device)
    idx = random_idx(shape[0], count, shape[1]).to(device)
    idx = _repeat(idx) if repeated else idx
    # Laid out as a matrix product may hand it back.
    upstream = torch.randn(shape[0], shape[2], count, device=device).mT
    upstream = upstream.to(torch.float32)
    both = (gather_tokens, reference.gather_tokens)
    _check(*(_swap(f) for f in both), [tokens, pos], idx, upstream=upstream)


def _swap(gather):
    return lambda tokens, pos, idx: gather(tokens, idx, pos)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("kept", [1, 4, 7])
def test_assemble_decoder_tokens(dtype, repeated, kept, device):
    parts = [
        torch.randn(shape, device=device).to(dtype)
        for shape in ((3, kept, 96), (1, 1, 96), (1, 7, 96))
    ]
    order = random_idx(3, 7, 7).to(device)[:, torch.randperm(7)]
    order = _repeat(order) if repeated else order
    indices = order[:, :kept], order[:, kept:]
    upstream = torch.randn(3, 7, 96, device=device).to(dtype)
    plain = reference.assemble_decoder_tokens
    _check(assemble_decoder_tokens, plain, parts, *indices, upstream=upstream)


def _loss_inputs(dtype, device, count=3):
    videos = random_videos((2, 3, 2, 16, 16)).to(device)
    pred = 2 * torch.randn(2, count, 384, device=device)
    return pred.to(dtype), videos, random_idx(2, count, 4).to(device)


def _loss(function):
    def loss(pred, videos, idx, scale=1.0, **options):
        if pred.dtype == torch.float64:
            videos = videos.double() / 255
        return scale * function(pred, videos, idx, **SIZES, **options)

    return loss


BOTH = [
    _loss(f) for f in (masked_reconstruction_loss, reference.masked_reconstruction_loss)
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("scale", [1.0, 4096.0])
def test_loss(dtype, loss, norm_pix, scale, device):
    """Alone, and multiplied as mixed precision multiplies it."""
    if dtype == torch.float16 and scale == 1:
        scale = 256.0  # else the reference's gradient is below what float16 has
    pred, *others = _loss_inputs(dtype, device)
    options = {"scale": scale, "loss": loss, "norm_pix": norm_pix}
    _check(*BOTH, [pred], *others, **options)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_loss__strided_predictions(dtype, device):
    pred, *others = _loss_inputs(dtype, device)
    _check(*BOTH, [pred.mT.contiguous().mT], *others)


def test_loss__weights(device):
    pred, videos, idx = _loss_inputs(torch.float32, device)
    weights = torch.rand(2, 3, device=device)
    weights[0, 1] = 0

    def weigh(loss):
        return lambda pred, weights, videos, idx: loss(
            pred, videos, idx, weights=weights
        )

    _check(*(weigh(loss) for loss in BOTH), [pred, weights], videos, idx)


@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("repeated", [False, True])
def test_loss__clips(norm_pix, repeated, device):
    pred, videos, idx = _loss_inputs(torch.float32, device)
    videos = (videos / 255).requires_grad_()
    idx = _repeat(idx) if repeated else idx
    functions = (masked_reconstruction_loss, reference.masked_reconstruction_loss)
    _check(*functions, [pred, videos], idx, norm_pix=norm_pix, **SIZES)


def test_loss__twice_over_a_kept_graph(device):
    """The second pass must not find what the first one scaled in place."""
    pred, videos, idx = _loss_inputs(torch.float32, device)
    pred.requires_grad_()
    value = 3 * BOTH[0](pred, videos, idx)
    (first,) = torch.autograd.grad(value, pred, retain_graph=True)
    copy = first.clone()
    (second,) = torch.autograd.grad(value, pred)
    assert torch.equal(first, copy)
    assert torch.equal(second, copy)


@pytest.mark.skipif(
    not torch.cuda.is_available() and "cpu" not in KERNEL_DEVICES,
    reason="no kernel runs here",
)
def test_loss__backward_of_a_mean_moves_nothing(device, monkeypatch):
    """The scale that arrives is, to the last bit, the one that is in already."""
    pred, videos, idx = _loss_inputs(torch.float32, device)
    value = BOTH[0](pred.requires_grad_(), videos, idx)
    starts, start = [], triton_language._start
    monkeypatch.setattr(
        triton_language,
        "_start",
        lambda *args, **options: (
            starts.append((args, options)),
            start(*args, **options),
        ),
    )
    value.backward()
    (((_, _, _, scale, _, _, neutral, *_), options),) = starts
    assert options["HAS_NEUTRAL"]
    assert (scale == torch.tensor(neutral, device=device)).all()


def test_scale_rows__leaves_neutral_rows_alone(device):
    """In place, a row whose gradient is in already is not touched, not even by NaN."""
    rows = torch.randn(2, 3, 40, device=device)
    before = rows.clone()
    scale = torch.full((1, 1), 1 / 6, device=device).expand(2, 3)
    if device.type not in KERNEL_DEVICES:
        pytest.skip("no kernel runs here")
    out = launch_scale_rows(rows, scale, float("nan"), 1 / 6, True)
    assert out.data_ptr() == rows.data_ptr()
    assert torch.equal(out, before)
    out = launch_scale_rows(rows, scale, 12.0, 1 / 6, False)
    torch.testing.assert_close(out, 2 * before)
    assert torch.equal(rows, before)


@pytest.mark.parametrize("seed", range(2))
def test_same_bits_in_every_run(seed, device):
    """With repeated tokens, where atomic additions would vary."""
    torch.manual_seed(seed)
    idx = torch.randint(3, (4, 6), device=device)
    tokens, pos = (
        torch.randn(4, 3, 64, device=device),
        torch.randn(3, 64, device=device),
    )
    upstream = torch.randn(4, 6, 64, device=device)
    runs = [
        _gradients(_swap(gather_tokens), [tokens, pos], idx, upstream=upstream)
        for _ in range(3)
    ]
    for grads in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(grads, runs[0], strict=True))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("weight", [0.5, 0.2])
def test_motion(dtype, loss, norm_pix, weight, device):
    """The halves of two frames are scaled already; other weights are at the end."""
    pred, *others = _loss_inputs(dtype, device)
    options = {"loss": loss, "norm_pix": norm_pix, "scale": 256.0}
    options |= {"target": "motion", "motion_weight": weight}
    _check(*BOTH, [pred], *others, **options)


@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("frames", [2, 4])
def test_motion__clips(norm_pix, frames, device):
    """The first frame is in the target of every other, with a minus."""
    clips = random_videos((2, 3, 4, 16, 8), torch.float32).to(device)
    idx = random_idx(2, 2, 8 // frames).to(device)
    pred = 2 * torch.randn(2, 2, 3 * frames * 64, device=device)
    functions = (masked_reconstruction_loss, reference.masked_reconstruction_loss)
    sizes = {"tubelet_size": frames, "patch_size": 8}
    options = {"target": "motion", "motion_weight": 0.3, "norm_pix": norm_pix, **sizes}
    _check(*functions, [pred, clips], _repeat(idx), **options)


@pytest.mark.skipif(
    not torch.cuda.is_available() and "cpu" not in KERNEL_DEVICES,
    reason="no kernel runs here",
)
@pytest.mark.parametrize(("weight", "moves"), [(0.5, False), (0.25, True)])
def test_motion__backward_of_the_halves_moves_nothing(
    weight, moves, device, monkeypatch
):
    pred, videos, idx = _loss_inputs(torch.float32, device)
    options = {"target": "motion", "motion_weight": weight}
    value = BOTH[0](pred.requires_grad_(), videos, idx, **options)
    calls, start = [], triton_language._start
    monkeypatch.setattr(
        triton_language,
        "_start",
        lambda *args, **options: (calls.append(args), start(*args, **options)),
    )
    value.backward()
    ((_, _, _, scale, _, _, neutral, *_),) = calls
    assert bool((scale != torch.tensor(neutral, device=device)).any()) is moves
