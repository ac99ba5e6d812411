"""Which model a checkpoint is for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from lightly_marlin.models.config import MarlinConfig, list_models, named_config
from lightly_marlin.models.weights.checkpoints import saved_config
from lightly_marlin.models.weights.files import locate, read_tensors
from lightly_marlin.models.weights.names import recognise
from lightly_marlin.utils.errors import UsageError

__all__ = ["config_of_weights", "parts_of_weights"]

_BLOCK = re.compile(r"encoder\.blocks\.(\d+)\.")


def config_of_weights(source: str | Path) -> MarlinConfig:
    """Tells the sizes of the model that weights are for.

    Args:
        source: As for `load_weights`.

    Returns:
        What the `config.json` beside the weights says; without one, the named model
        of their width and depth. Shapes do not show the number of heads.

    Raises:
        UsageError: If the weights cannot be read or are those of no named model.
    """
    path = locate(source)
    saved = saved_config(path)
    if saved is not None:
        return saved
    tensors = _named_here(path)
    bias = tensors.get("encoder.patch_embed.bias")
    width = 0 if bias is None else len(bias)
    table = tensors.get("encoder.pos_embed")
    depth = len({match[1] for name in tensors if (match := _BLOCK.match(name))})
    for name in list_models():
        config = named_config(name)
        fits = table is None or table.shape[1] == config.num_tokens
        if fits and (config.encoder_dim, config.encoder_depth) == (width, depth):
            return config
    tokens = "" if table is None else f" over {table.shape[1]} tokens"
    raise UsageError(
        f"The weights in {path}, {depth} blocks of width {width}{tokens}, are those of "
        f"no named model ({', '.join(list_models())}). Put the config.json of their "
        "model beside them, as model.safetensors in one folder."
    )


def parts_of_weights(source: str | Path) -> set[str]:
    """Tells which parts of a model weights are for.

    Args:
        source: As for `load_weights`.

    Returns:
        Some of "encoder", "enc_dec_proj", "decoder" and "discriminator".

    Raises:
        UsageError: If the weights cannot be read.
    """
    return {name.partition(".")[0] for name in _named_here(locate(source))}


def _named_here(path: Path) -> Mapping[str, Tensor]:
    tensors = read_tensors(path)
    names = recognise(tensors, path)
    return {names.here(name): tensor for name, tensor in tensors.items()}
