"""Benchmark cases: every operation, in every way there is to compute it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lightly_marlin import kernels
from lightly_marlin.kernels import reference
from lightly_marlin.kernels.benchmarks import original
from lightly_marlin.kernels.benchmarks.traffic import minimal_bytes
from lightly_marlin.kernels.benchmarks.workload import Workload

__all__ = ["WAYS", "Case", "make_cases"]

WAYS = ("ours", "plain", "original", "lightly", "compile")
"""Ours; its plain version; eager PyTorch as first written; Lightly's; the plain version
under `torch.compile`."""

_Outputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Case:
    """An operation with its inputs.

    Attributes:
        name: Name of the operation.
        inputs: Arguments by name.
        shared: Names of the inputs that have no batch dimension.
        reference: Takes the inputs; the ground truth if they are float64.
        joins: For each output, how outputs for parts of a batch make up the whole:
            "rows" one after the other, "mean" of them, "share" one after the other and
            divided by the number of parts, "sum".
        num_bytes: Bytes that must move.
        ways: Functions like `reference`, by a word of `WAYS`.
    """

    name: str
    inputs: dict[str, Tensor]
    reference: Callable[..., _Outputs]
    joins: tuple[str, ...]
    num_bytes: int
    ways: dict[str, Callable[..., _Outputs]]
    shared: frozenset[str] = field(default_factory=frozenset)


def make_cases(
    workload: Workload,
    batch_size: int,
    device: torch.device,
    *,
    with_compile: bool,
    dtype: torch.dtype = torch.bfloat16,
) -> list[Case]:
    """Returns all cases of a batch size.

    Args:
        workload: Sizes of the clips and the model.
        batch_size: Clips B.
        device: Device to measure on.
        with_compile: Whether `torch.compile` is one of the ways.
        dtype: Dtype of tokens and predictions.
    """
    if with_compile:
        # Another batch size must not make the compiler think of sizes as variable.
        torch.compiler.reset()
    maker = _Maker(workload, batch_size, device, with_compile, dtype)
    return [
        maker.gather_tubelets(),
        maker.gather_tokens(),
        maker.gather_tokens_step(),
        maker.assemble_decoder_tokens(),
        maker.assemble_decoder_tokens_step(),
        maker.loss_step(norm_pix=False),
        maker.loss_step(norm_pix=True),
        maker.loss_step(norm_pix=True, target="motion"),
    ]


class _Maker:
    """Makes the cases of one batch size from one set of inputs."""

    def __init__(
        self,
        workload: Workload,
        batch_size: int,
        device: torch.device,
        with_compile: bool,
        dtype: torch.dtype,
    ) -> None:
        self.workload, self.batch_size, self.device = workload, batch_size, device
        self.with_compile, self.dtype = with_compile, dtype
        self.sizes: dict[str, Any] = {
            "tubelet_size": workload.tubelet_size,
            "patch_size": workload.patch_size,
        }
        self.random = torch.Generator(device).manual_seed(0)
        shape = (batch_size, workload.channels, workload.frames, *[workload.side] * 2)
        self.videos = torch.randint(
            256, shape, generator=self.random, device=device, dtype=torch.uint8
        )
        noise = torch.rand(
            batch_size, workload.num_tokens, generator=self.random, device=device
        )
        order = noise.argsort(dim=1)
        self.idx_keep = order[:, : workload.num_visible].sort().values
        self.idx_mask = order[:, workload.num_visible :].sort().values
        self.visible_mask = torch.zeros_like(noise, dtype=torch.bool)
        self.visible_mask.scatter_(1, self.idx_keep, True)

    def gather_tubelets(self) -> Case:
        """Visible tubelets of uint8 clips, in the dtype of the embedding."""

        def call(function: Any) -> Callable[..., _Outputs]:
            return lambda videos, idx, picked: (
                function(videos, idx, dtype=self.dtype, **self.sizes),
            )

        def exact(videos: Tensor, idx: Tensor, picked: Tensor) -> _Outputs:
            wide = torch.float64
            return (reference.gather_tubelets(videos, idx, dtype=wide, **self.sizes),)

        def first(videos: Tensor, idx: Tensor, picked: Tensor) -> _Outputs:
            pixels = original.gather_pixels(
                videos, picked, dtype=self.dtype, **self.sizes
            )
            return (pixels,)

        inputs = {
            "videos": self.videos,
            "idx": self.idx_keep,
            "picked": self.visible_mask,
        }
        ways = self._ways("gather_tubelets", call, original=first)
        return self._case("gather_tubelets", inputs, exact, ("rows",), ways)

    def gather_tokens(self) -> Case:
        """Visible tokens with their positions, forward alone."""
        inputs = self._token_inputs()
        ways = self._token_ways(lambda gather: gather)
        exact = _pick(reference.gather_tokens)
        return self._case(
            "gather_tokens", inputs, exact, ("rows",), ways, shared={"pos_embed"}
        )

    def gather_tokens_step(self) -> Case:
        """The same, with the gradient of the tokens."""
        inputs = self._token_inputs()
        inputs["upstream"] = self._randn(
            self.batch_size, self.workload.num_visible, self.workload.encoder_dim
        )

        def step(gather: Callable[..., _Outputs]) -> Callable[..., _Outputs]:
            def run(tokens: Tensor, upstream: Tensor, **others: Tensor) -> _Outputs:
                tokens = tokens.detach().requires_grad_()
                (chosen,) = gather(tokens=tokens, **others)
                upstream = upstream.to(chosen.dtype)
                return chosen.detach(), *torch.autograd.grad(chosen, tokens, upstream)

            return run

        return self._case(
            "gather_tokens, with gradient",
            inputs,
            step(_pick(reference.gather_tokens)),
            ("rows", "rows"),
            self._token_ways(step),
            shared={"pos_embed"},
            operations=("gather_tokens", "gather_tokens, backward"),
        )

    def assemble_decoder_tokens(self) -> Case:
        """The decoder's input, forward alone."""
        return self._case(
            "assemble_decoder_tokens",
            self._decoder_inputs(),
            _join(reference.assemble_decoder_tokens),
            ("rows",),
            self._decoder_ways(lambda assemble: assemble),
            shared={"pos_embed", "mask_token"},
        )

    def assemble_decoder_tokens_step(self) -> Case:
        """The same, with the gradients of visible tokens and mask token."""
        inputs = self._decoder_inputs()
        inputs["upstream"] = self._randn(
            self.batch_size, self.workload.num_tokens, self.workload.decoder_dim
        )

        def step(assemble: Callable[..., _Outputs]) -> Callable[..., _Outputs]:
            def run(
                visible: Tensor, mask_token: Tensor, upstream: Tensor, **others: Tensor
            ) -> _Outputs:
                learned = [x.detach().requires_grad_() for x in (visible, mask_token)]
                (joined,) = assemble(*learned, **others)
                upstream = upstream.to(joined.dtype)
                return joined.detach(), *torch.autograd.grad(joined, learned, upstream)

            return run

        name = "assemble_decoder_tokens"
        return self._case(
            f"{name}, with gradient",
            inputs,
            step(_join(reference.assemble_decoder_tokens)),
            ("rows", "rows", "sum"),
            self._decoder_ways(step),
            shared={"pos_embed", "mask_token"},
            operations=(name, f"{name}, backward"),
        )

    def loss_step(self, norm_pix: bool, target: str = "pixels") -> Case:
        """The reconstruction loss of uint8 clips with its gradient."""
        w = self.workload

        def step(loss: Callable[..., Tensor]) -> Callable[..., _Outputs]:
            def run(pred: Tensor, **others: Tensor) -> _Outputs:
                pred = pred.detach().requires_grad_()
                value = loss(pred=pred, **others)
                return value.detach(), *torch.autograd.grad(value, pred)

            return run

        def call(function: Any) -> Callable[..., _Outputs]:
            def loss(
                pred: Tensor, videos: Tensor, idx: Tensor, picked: Tensor
            ) -> Tensor:
                value: Tensor = function(
                    pred, videos, idx, norm_pix=norm_pix, target=target, **self.sizes
                )
                return value

            return step(loss)

        def first(pred: Tensor, videos: Tensor, idx: Tensor, picked: Tensor) -> Tensor:
            return original.reconstruction_loss(
                pred, videos, ~picked, norm_pix=norm_pix, target=target, **self.sizes
            )

        name = "masked_reconstruction_loss"
        options = ["norm_pix"] * norm_pix + ["motion"] * (target == "motion")
        inputs = {
            "pred": self._randn(self.batch_size, w.num_masked, w.num_pixels),
            "videos": self.videos,
            "idx": self.idx_mask,
            "picked": self.visible_mask,
        }
        return self._case(
            ", ".join([name, *options, "with gradient"]),
            inputs,
            call(reference.masked_reconstruction_loss),
            ("mean", "share"),
            self._ways(name, call, original=step(first)),
            operations=(name, f"{name}, backward"),
        )

    def _token_inputs(self) -> dict[str, Tensor]:
        w = self.workload
        return {
            "tokens": self._randn(self.batch_size, w.num_tokens, w.encoder_dim),
            "pos_embed": self._randn(1, w.num_tokens, w.encoder_dim),
            "idx": self.idx_keep,
            "picked": self.visible_mask,
        }

    def _token_ways(self, around: Any) -> dict[str, Callable[..., _Outputs]]:
        def first(
            tokens: Tensor, pos_embed: Tensor, idx: Tensor, picked: Tensor
        ) -> _Outputs:
            return (original.pick_tokens(tokens, picked, pos_embed),)

        ways = self._ways(
            "gather_tokens",
            lambda gather: around(_pick(gather)),
            original=around(first),
        )
        try:
            from lightly.models.utils import get_at_index
        except ImportError:
            return ways

        def theirs(
            tokens: Tensor, pos_embed: Tensor, idx: Tensor, picked: Tensor
        ) -> _Outputs:
            return (get_at_index(tokens + pos_embed, idx),)

        return {**ways, "lightly": around(theirs)}

    def _decoder_inputs(self) -> dict[str, Tensor]:
        w = self.workload
        return {
            "visible": self._randn(self.batch_size, w.num_visible, w.decoder_dim),
            "mask_token": self._randn(1, 1, w.decoder_dim),
            "pos_embed": self._randn(1, w.num_tokens, w.decoder_dim),
            "idx_keep": self.idx_keep,
            "idx_mask": self.idx_mask,
            "picked": self.visible_mask,
        }

    def _decoder_ways(self, around: Any) -> dict[str, Callable[..., _Outputs]]:
        def first(
            visible: Tensor,
            mask_token: Tensor,
            pos_embed: Tensor,
            idx_keep: Tensor,
            idx_mask: Tensor,
            picked: Tensor,
        ) -> _Outputs:
            return (original.assemble_tokens(visible, mask_token, pos_embed, picked),)

        return self._ways(
            "assemble_decoder_tokens",
            lambda assemble: around(_join(assemble)),
            original=around(first),
        )

    def _ways(
        self, name: str, call: Any, *, original: Callable[..., _Outputs]
    ) -> dict[str, Callable[..., _Outputs]]:
        plain = getattr(reference, name)
        ways = {
            "ours": call(getattr(kernels, name)),
            "plain": call(plain),
            "original": original,
        }
        if self.with_compile:
            ways["compile"] = call(torch.compile(plain, dynamic=False))
        return ways

    def _case(
        self,
        name: str,
        inputs: dict[str, Tensor],
        exact: Callable[..., _Outputs],
        joins: tuple[str, ...],
        ways: dict[str, Callable[..., _Outputs]],
        *,
        shared: set[str] | None = None,
        operations: tuple[str, ...] = (),
    ) -> Case:
        item_size = self.dtype.itemsize
        num_bytes = sum(
            sum(minimal_bytes(operation, self.workload, self.batch_size, item_size))
            for operation in operations or (name,)
        )
        return Case(
            name, inputs, exact, joins, num_bytes, ways, frozenset(shared or ())
        )

    def _randn(self, *shape: int) -> Tensor:
        return torch.randn(
            shape, generator=self.random, device=self.device, dtype=self.dtype
        )


def _pick(gather: Any) -> Callable[..., _Outputs]:
    return lambda tokens, pos_embed, idx, picked: (gather(tokens, idx, pos_embed),)


def _join(assemble: Any) -> Callable[..., _Outputs]:
    return lambda visible, mask_token, pos_embed, idx_keep, idx_mask, picked: (
        assemble(visible, mask_token, pos_embed, idx_keep, idx_mask),
    )
