"""Training steps in all variants that train_step.py compares.

A variant is an implementation, a precision and options, as in "ours tf32 compiled":

- implementation: `reference` is the released step (see reference_step.py), `ours` that
  of `PretrainStep` on uint8 clips, `plain` ours without kernels;
- precision: `float32` without TF32 in any operation, `tf32`, `bf16` or `bf16-mixed`
  (autocast);
- options: `compiled` (blocks and critic, as --compile), `graph` (as --cuda-graph),
  `foreach` (AdamW not fused), `flash` and `cudnn` (attention by that, not by
  PyTorch's choice).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from reference_step import (
    ADVERSARIAL_WEIGHT,
    LEARNING_RATE,
    ReferenceDiscriminator,
    ReferenceGenerator,
    ReferenceStep,
)
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim import AdamW

from lightly_marlin.kernels.dispatch import KERNELS_VARIABLE
from lightly_marlin.models import MarlinDiscriminator, accelerate_cpu, create_marlin
from lightly_marlin.models.config import named_config
from lightly_marlin.training import PretrainStep
from lightly_marlin.training.compilation import compile_networks
from lightly_marlin.training.step_graph import StepGraph
from lightly_marlin.transforms import indices_to_mask, tube_token_mask
from lightly_marlin.utils.device import lightning_precision

__all__ = ["GPU_VARIANTS", "OPTIONS", "VARIANTS", "make_batch", "make_step"]

VARIANTS = ("reference float32", "reference bf16", "ours float32", "ours bf16-mixed")

GPU_VARIANTS = (
    "ours bf16-mixed",
    "plain bf16-mixed",
    "ours bf16-mixed compiled",
    "plain bf16-mixed compiled",
    "ours bf16-mixed graph",
    "ours bf16-mixed compiled graph",
    "ours bf16-mixed foreach",
    "ours bf16-mixed flash",
    "ours bf16-mixed cudnn",
    "ours float32",
    "ours tf32",
    "reference float32",
    "reference tf32",
    "reference bf16",
)
"""Those that decide most come first, as time may run out."""

OPTIONS = ("compiled", "graph", "foreach", "flash", "cudnn")


def make_batch(batch_size: int, device: str = "cpu") -> dict[str, Tensor]:
    """Returns a batch of noise clips and one mask in both forms."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, 3, 16, 224, 224)
    videos = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    idx_keep, idx_mask = tube_token_mask((batch_size, (8, 14, 14)), generator=generator)
    batch = {
        "uint8": videos,
        "float": videos.float() / 255,
        "idx_keep": idx_keep,
        "idx_mask": idx_mask,
        "visible": ~indices_to_mask(idx_mask, 1568),
    }
    return {name: value.to(device) for name, value in batch.items()}


def make_step(
    variant: str, model: str, batch: dict[str, Tensor]
) -> Callable[[], Tensor | None]:
    """Returns a function that trains one step of a variant on `batch`.

    It returns the reconstruction loss, None for the reference.

    Raises:
        ValueError: If there is no such variant.
    """
    implementation, precision, *options = variant.split()
    unknown = sorted(set(options) - set(OPTIONS))
    if implementation not in ("reference", "ours", "plain") or unknown:
        raise ValueError(f"There is no variant {variant}.")
    torch.manual_seed(0)
    device = batch["uint8"].device
    run: Callable[[], Tensor | None]
    if implementation == "reference":
        run = _reference(model, batch, precision)
    else:
        run = _ours(model, batch, options, "bf16" in precision)
    kernels = "0" if implementation == "plain" else "1"
    if device.type == "cuda" and implementation == "ours":
        kernels = "strict"

    def step() -> Tensor | None:
        # Both are switches of the whole process, and variants alternate.
        lightning_precision("tf32" if precision == "tf32" else "32")
        os.environ[KERNELS_VARIABLE] = kernels
        return run()

    return step


def _reference(
    model: str, batch: dict[str, Tensor], precision: str
) -> Callable[[], None]:
    config, device = named_config(model), batch["uint8"].device
    critic = ReferenceDiscriminator(config.patch_dim, 4 * config.decoder_dim)
    generator = ReferenceGenerator(model)
    step = ReferenceStep(
        generator.to(device), critic.to(device), precision.startswith("bf16")
    )
    return lambda: step(batch["float"], batch["visible"])


def _attention(options: list[str]) -> AbstractContextManager[Any]:
    if "flash" in options:
        return sdpa_kernel(SDPBackend.FLASH_ATTENTION)
    if "cudnn" in options:
        return sdpa_kernel(SDPBackend.CUDNN_ATTENTION)
    return nullcontext()


def _ours(
    model: str, batch: dict[str, Tensor], options: list[str], mixed: bool
) -> Callable[[], Tensor]:
    config, device = named_config(model), batch["uint8"].device
    networks = (
        create_marlin(model).to(device),
        accelerate_cpu(
            MarlinDiscriminator(config.patch_dim, 4 * config.decoder_dim)
        ).to(device),
    )
    arguments: dict[str, Any] = {"lr": LEARNING_RATE, "weight_decay": 0.0}
    arguments |= {"foreach": True} if "foreach" in options else {"fused": True}
    if "graph" in options:
        arguments |= {"capturable": True}
    optimizers = [AdamW(network.parameters(), **arguments) for network in networks]
    if "compiled" in options:
        compile_networks(*networks)
    step = PretrainStep(*networks, *optimizers, adversarial_weight=ADVERSARIAL_WEIGHT)

    def update(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        autocast = torch.autocast(device.type, torch.bfloat16, enabled=mixed)
        with autocast, _attention(options):
            losses = step(inputs["uint8"], inputs["idx_keep"], inputs["idx_mask"])
        return {"loss": losses.reconstruction}

    inputs = {name: batch[name] for name in ("uint8", "idx_keep", "idx_mask")}
    run = StepGraph(update) if "graph" in options else update
    return lambda: run(inputs)["loss"]
