"""Architecture of a checkpoint, inferred from the shapes of its weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from lightly_marlin.models.config import MarlinConfig, list_models, named_config
from lightly_marlin.utils.errors import UsageError

__all__ = ["count_blocks", "infer_architecture"]

_BLOCK = re.compile(r"(encoder|decoder)\.blocks\.(\d+)\.")


def infer_architecture(tensors: Mapping[str, Tensor], path: Path) -> MarlinConfig:
    """Finds the named model with the width, depth and number of tokens of a checkpoint.

    Shapes do not show the number of heads, so only named models can be inferred.

    Args:
        tensors: Weights by their names in `Marlin.state_dict()`.
        path: Their file, for the error message.

    Returns:
        The configuration of the named model.

    Raises:
        UsageError: A ValueError, if no named model has these sizes, or the encoder is
            not there.
    """
    bias = tensors.get("encoder.patch_embed.bias")
    if bias is None:
        raise UsageError(
            f"The weights in {path} are those of no whole encoder: the bias of its "
            "patch embedding is missing."
        )
    width = len(bias)
    positions = tensors.get("encoder.pos_embed")
    depth = count_blocks(tensors, "encoder")
    for name in list_models():
        config = named_config(name)
        fits = positions is None or positions.shape[1] == config.num_tokens
        if fits and (config.encoder_dim, config.encoder_depth) == (width, depth):
            return config
    tokens = "" if positions is None else f" over {positions.shape[1]} tokens"
    raise UsageError(
        f"The weights in {path}, {depth} blocks of width {width}{tokens}, match no "
        f"named model ({', '.join(list_models())}). Put the config.json of their "
        "model beside them, as model.safetensors in one folder."
    )


def count_blocks(names: Iterable[str], part: str) -> int:
    """Counts the transformer blocks of a part of a model.

    Args:
        names: Names of weights, as in `Marlin.state_dict()`.
        part: "encoder" or "decoder".

    Returns:
        The number of blocks; 0 if the part is missing.
    """
    found = (_BLOCK.match(name) for name in names)
    return len({match[2] for match in found if match and match[1] == part})
