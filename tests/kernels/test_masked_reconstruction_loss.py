import pytest
import torch
from naive_kernels import naive_loss, random_idx, random_videos, strided_copies
from torch.autograd import gradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from lightly_marlin.kernels import (
    gather_tubelets,
    masked_reconstruction_loss,
    reference,
)
from lightly_marlin.kernels.masked_reconstruction_loss import LOSSES
from lightly_marlin.kernels.masked_token_losses import (
    DERIVATIVES,
    masked_token_losses_op,
)
from lightly_marlin.kernels.triton_language import KERNEL_DEVICES

FUNCTIONS = (masked_reconstruction_loss, reference.masked_reconstruction_loss)
SMALL = {"tubelet_size": 2, "patch_size": 4}
NUM_PIXELS = 3 * 2 * 4 * 4


def _inputs(dtype=torch.float32, video_dtype=torch.uint8, seed=0):
    """Predictions wide enough for both branches of Huber's loss, 4 of 12 tokens."""
    generator = torch.Generator().manual_seed(seed)
    pred = 2 * torch.randn(2, 4, NUM_PIXELS, generator=generator)
    videos = random_videos((2, 3, 4, 8, 12), video_dtype, seed=seed)
    return pred.to(dtype), videos, random_idx(2, 4, 12, seed=seed)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_naive(function, loss, norm_pix, weighted):
    pred, videos, idx_mask = _inputs()
    weights = torch.tensor([[0.0, 1.0, 2.0, 0.5], [1.0, 0.0, 0.0, 3.0]])
    weights = weights if weighted else None
    options = {"norm_pix": norm_pix, "loss": loss, "weights": weights}
    value = function(pred, videos, idx_mask, **SMALL, **options)
    expected = naive_loss(pred, videos, idx_mask, (2, 4), norm_pix, loss, weights)
    assert value.dtype == torch.float32
    assert value.shape == ()
    torch.testing.assert_close(value.item(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize(
    ("shape", "tubelet_size", "patch_size"),
    [((1, 3, 1, 8, 8), 1, 8), ((1, 3, 4, 28, 14), 4, 14), ((2, 1, 2, 16, 32), 2, 16)],
)
def test_target_equals_unfold(norm_pix, shape, tubelet_size, patch_size):
    """The target as MARLIN states it: all tokens by unfold, then the masked ones."""
    videos = random_videos(shape)
    patches = (videos / 255).unfold(2, tubelet_size, tubelet_size)
    patches = patches.unfold(3, patch_size, patch_size).unfold(
        4, patch_size, patch_size
    )
    # (B, C, t, h, w, ...) -> one row per token, in (channel, time, row, column) order.
    tokens = patches.movedim(1, 4).flatten(4).flatten(1, 3)
    idx_mask = random_idx(shape[0], max(tokens.shape[1] - 1, 1), tokens.shape[1])
    target = torch.stack([rows[i] for rows, i in zip(tokens, idx_mask, strict=True)])
    if norm_pix:
        std = (target.var(dim=-1, keepdim=True) + 1e-6).sqrt()
        target = (target - target.mean(dim=-1, keepdim=True)) / std
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    loss = masked_reconstruction_loss(
        target, videos, idx_mask, norm_pix=norm_pix, **sizes
    )
    assert loss < 1e-12


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm_pix", [False, True])
def test_gradcheck(loss, norm_pix):
    """Predictions, clips and weights; a repeated token adds up in the clip."""
    torch.manual_seed(0)
    videos = torch.rand(2, 2, 2, 2, 4, dtype=torch.float64, requires_grad=True)
    pred = (3 * torch.randn(2, 3, 8, dtype=torch.float64)).requires_grad_()
    weights = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    idx_mask = torch.tensor([[0, 1, 3], [2, 2, 0]])
    sizes = {"tubelet_size": 1, "patch_size": 2}
    options = {"loss": loss, "norm_pix": norm_pix, **sizes}
    assert gradcheck(
        lambda p, v, w: masked_reconstruction_loss(
            p, v, idx_mask, weights=w, **options
        ),
        (pred, videos, weights),
    )


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 1e-6), (torch.float16, 2e-3), (torch.bfloat16, 1e-2)],
)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm_pix", [False, True])
def test_equals_reference(dtype, tolerance, loss, norm_pix):
    """With a gradient scale as mixed precision has it."""
    results = []
    for function in FUNCTIONS:
        pred, videos, idx_mask = _inputs(dtype, torch.float32)
        pred.requires_grad_(), videos.requires_grad_()
        options = {"loss": loss, "norm_pix": norm_pix, **SMALL}
        value = function(pred, videos, idx_mask, **options)
        (1024 * value).backward()
        results.append((value.detach(), pred.grad, videos.grad))
    assert results[0][1].dtype == dtype
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-5, atol=0)
    torch.testing.assert_close(
        results[0][1:], results[1][1:], rtol=tolerance, atol=10 * tolerance
    )


def test_float16_gradient_survives_a_large_mean():
    """Divided by the number of pixels before scaling, it would be zero in float16."""
    pred = torch.full((1, 2, 98304), 0.5, dtype=torch.float16, requires_grad=True)
    videos = torch.zeros(1, 3, 2, 128, 256, dtype=torch.uint8)
    idx_mask = torch.tensor([[0, 1]])
    loss = masked_reconstruction_loss(pred, videos, idx_mask, patch_size=128)
    (2.0**16 * loss).backward()
    expected = 2**16 * 2 * 0.5 / pred.numel()
    torch.testing.assert_close(pred.grad[0, 0, 0].item(), expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_changes_nothing(dtype):
    pred, videos, idx_mask = _inputs(dtype)
    plain = masked_reconstruction_loss(pred, videos, idx_mask, **SMALL, norm_pix=True)
    with torch.autocast("cpu", dtype=dtype):
        value = masked_reconstruction_loss(
            pred, videos, idx_mask, **SMALL, norm_pix=True
        )
    assert value.dtype == torch.float32
    assert torch.equal(value, plain)


@pytest.mark.parametrize("name", strided_copies(torch.zeros(2, 3, 4, 32, 32)))
@pytest.mark.parametrize("video_dtype", [torch.uint8, torch.bfloat16])
def test_any_strides(name, video_dtype):
    pred, videos, idx_mask = _inputs(video_dtype=video_dtype)
    videos = strided_copies(videos)[name]
    pred = pred.mT.contiguous().mT.requires_grad_()
    value = masked_reconstruction_loss(pred, videos, idx_mask, **SMALL)
    value.backward()
    dense = pred.detach().contiguous().requires_grad_()
    expected = masked_reconstruction_loss(dense, videos.contiguous(), idx_mask, **SMALL)
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(pred.grad, dense.grad)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_constant_patches_are_zero_when_normalised(function):
    videos = torch.full((1, 3, 2, 4, 4), 77, dtype=torch.uint8)
    idx_mask = torch.zeros(1, 1, dtype=torch.int64)
    pred = torch.full((1, 1, NUM_PIXELS), 2.0, requires_grad=True)
    value = function(pred, videos, idx_mask, norm_pix=True, **SMALL)
    value.backward()
    torch.testing.assert_close(value.item(), 4.0, atol=1e-3, rtol=0)
    assert pred.grad.isfinite().all()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_weights_of_zero_give_zero(function):
    pred, videos, idx_mask = _inputs()
    pred.requires_grad_()
    weights = torch.zeros(2, 4, requires_grad=True)
    value = function(pred, videos, idx_mask, weights=weights, **SMALL)
    value.backward()
    assert value == 0
    assert torch.equal(pred.grad, torch.zeros_like(pred))
    assert weights.grad.isfinite().all()


class _DerivativesAsked(TorchDispatchMode):
    """Records for every call of the op whether it was asked for a derivative."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.lightly_marlin.masked_token_losses.default:
            self.asked.append(args[-1])
        return func(*args, **(kwargs or {}))


def test_no_derivative_is_kept_without_gradient():
    pred, videos, idx_mask = _inputs()
    with _DerivativesAsked() as mode:
        masked_reconstruction_loss(pred, videos, idx_mask, **SMALL)
        pred.requires_grad_()
        masked_reconstruction_loss(pred, videos, idx_mask, **SMALL)
        with torch.no_grad():
            masked_reconstruction_loss(pred, videos, idx_mask, **SMALL)
        with torch.inference_mode():
            masked_reconstruction_loss(pred, videos, idx_mask, **SMALL)
    kept = "mean" if "cpu" in KERNEL_DEVICES else "pixel"
    assert mode.asked == ["none", kept, "none", "none"]


def test_without_kernels_the_mean_costs_no_pass(monkeypatch):
    monkeypatch.setenv("LIGHTLY_MARLIN_KERNELS", "0")
    pred, videos, idx_mask = _inputs()
    with _DerivativesAsked() as mode:
        masked_reconstruction_loss(pred.requires_grad_(), videos, idx_mask, **SMALL)
    assert mode.asked == ["pixel"]


def test_backward_twice():
    """The kept derivative is scaled, not overwritten."""
    pred, videos, idx_mask = _inputs()
    pred.requires_grad_()
    value = masked_reconstruction_loss(pred, videos, idx_mask, **SMALL)
    value.backward(retain_graph=True)
    first = pred.grad.clone()
    value.backward()
    torch.testing.assert_close(pred.grad, 2 * first)


def test_gradient_of_gradient_is_refused():
    """Not silently without the second derivative of the pixel loss."""
    pred, videos, idx_mask = _inputs()
    pred.requires_grad_()
    weights = torch.ones(2, 4, requires_grad=True)
    value = masked_reconstruction_loss(pred, videos, idx_mask, weights=weights, **SMALL)
    (grad,) = torch.autograd.grad(value, pred, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        grad.square().sum().backward()


def test_real_pixels_are_predicted_perfectly():
    _, videos, idx_mask = _inputs()
    pred = gather_tubelets(videos, idx_mask, **SMALL)
    for loss in LOSSES:
        value = masked_reconstruction_loss(pred, videos, idx_mask, loss=loss, **SMALL)
        assert value == 0


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("derivative", DERIVATIVES)
def test_opcheck(loss, norm_pix, dtype, derivative):
    pred, videos, idx_mask = _inputs(dtype, torch.float32)
    pred.requires_grad_(derivative != "none")
    utils = ["test_schema", "test_autograd_registration", "test_faketensor"]
    if derivative == "none" or "cpu" not in KERNEL_DEVICES:
        utils.append("test_aot_dispatch_dynamic")
    # Otherwise backward overwrites the derivative, which the public function hides,
    # but which opcheck compares afterwards.
    torch.library.opcheck(
        masked_token_losses_op,
        (pred, videos, idx_mask, 2, 4, norm_pix, loss, derivative),
        test_utils=utils,
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_derivative_of_the_mean_is_the_gradient(loss):
    pred, videos, idx_mask = _inputs()
    pred.requires_grad_()
    masked_reconstruction_loss(pred, videos, idx_mask, loss=loss, **SMALL).backward()
    _, derivative = masked_token_losses_op(
        pred.detach(), videos, idx_mask, 2, 4, False, loss, "mean"
    )
    torch.testing.assert_close(derivative, pred.grad)


IDX = torch.tensor([[0], [1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pred": torch.zeros(2, 96)}, "pred must have 3 dimensions"),
        ({"pred": torch.zeros(2, 1, 96).int()}, "pred must be a floating-point tensor"),
        ({"pred": torch.zeros(2, 1, 95)}, r"\(2, 1, 96\), .* got shape \(2, 1, 95\)"),
        ({"pred": torch.zeros(2, 2, 96)}, r"\(B, n, P\) = \(2, 1, 96\)"),
        ({"pred": torch.zeros(2, 0, 96), "idx_mask": IDX[:, :0]}, "not be empty"),
        ({"videos": torch.zeros(2, 3, 2, 5, 8)}, r"height .* patch_size \(4\), got 5"),
        ({"idx_mask": IDX + 1}, r"idx_mask must be in \[0, 2\), got .* \[1, 2\]"),
        ({"idx_mask": IDX == 0}, "dtype torch.int64, got torch.bool .*mask_to_indices"),
        ({"loss": "l2"}, r"Invalid loss \('l2'\). Supported values are 'mse', 'l1'"),
        ({"weights": torch.ones(2)}, r"weights must have shape .* got shape \(2,\)"),
        ({"weights": IDX}, "weights must be a floating-point tensor"),
    ],
)
def test_bad_arguments(options, message):
    arguments = {
        "pred": torch.zeros(2, 1, 96),
        "videos": torch.zeros(2, 3, 2, 4, 8),
        "idx_mask": IDX,
        "patch_size": 4,
        **options,
    }
    with pytest.raises(ValueError, match=message):
        masked_reconstruction_loss(**arguments)
