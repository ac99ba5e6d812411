"""Compilation of a pretraining's blocks and critic by torch.compile.

Block by block: one short compilation serves all blocks of a width, where the whole
model would take minutes.
"""

from __future__ import annotations

import torch
import torch._functorch.config
from torch import nn

from lightly_marlin.models.blocks import TransformerBlocks

__all__ = ["compile_networks"]

_RECOMPILATIONS = 32
"""Encoder, decoder and its last block, in training and validation, for two teachers and
probes: more kinds of call than the 8 after which torch would give up."""


def compile_networks(
    module: nn.Module, critic: nn.Module | None = None, *, backend: str = "inductor"
) -> None:
    """Compiles all transformer blocks of a module, and its critic, in place.

    Classes, parameters and state dicts stay as they are; compilation itself comes with
    the first calls.

    Args:
        module: Module with stacks of transformer blocks.
        critic: Critic, if it is to be compiled as well: not with a gradient penalty, as
            compiled graphs have no second derivatives.
        backend: Backend of `torch.compile`.
    """
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, _RECOMPILATIONS)
    # With several devices, gradients are sent between blocks anyhow: no block is split.
    config.optimize_ddp = False
    # Or gradients could not be measured by a backward pass of their own.
    torch._functorch.config.donated_buffer = False
    stacks = [part for part in module.modules() if isinstance(part, TransformerBlocks)]
    for block in (block for stack in stacks for block in stack):
        block.compile(dynamic=False, backend=backend)
    if critic is not None:
        critic.compile(dynamic=False, backend=backend)
