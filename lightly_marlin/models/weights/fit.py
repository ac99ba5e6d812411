"""Fit of a checkpoint to a model: missing, unexpected and unusable weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.models.weights.architecture import count_blocks
from lightly_marlin.models.weights.layout import Layout
from lightly_marlin.utils.errors import UsageError

__all__ = [
    "check_config",
    "check_finite",
    "check_names_and_shapes",
    "spare_names",
    "warn_of_left_out",
]

_PARTS = ("encoder", "enc_dec_proj", "decoder", "discriminator")
# What is put on an encoder and changes nothing before it.
_HEADS = ("encoder.head.", "encoder.classifier.", "encoder.fc.")
_LISTED = 10
# A model for other clips has the same weights except for its positional embeddings.
_CLIP_FIELDS = ("num_frames", "img_size")


def check_config(
    config: MarlinConfig, saved: MarlinConfig, weights: Path, encoder_only: bool
) -> None:
    """Rejects mismatches that shapes do not show, above all another number of heads.

    Args:
        config: Configuration of the model.
        saved: Configuration beside the weights.
        weights: Path of the weights, for the error message.
        encoder_only: Whether the model has no decoder.

    Raises:
        UsageError: A ValueError, naming the fields that differ.
    """
    there = saved.to_dict()
    different = [
        f"{name} is {there[name]} there and {value} here"
        for name, value in config.to_dict().items()
        if there[name] != value
        and name not in _CLIP_FIELDS
        and not (encoder_only and name.startswith("decoder_"))
    ]
    if different:
        raise UsageError(
            f"The weights in {weights} are for a model of another configuration: "
            f"{'; '.join(different)}."
        )


def check_names_and_shapes(
    own: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    layout: Layout,
    refusal: str,
    config: MarlinConfig | None,
) -> None:
    """Rejects missing and unexpected weights, and those of other shapes or dtypes.

    Args:
        own: The model's weights by their names in `Marlin.state_dict()`.
        found: Weights of the checkpoint by the same names.
        layout: Layout of the checkpoint, for the names in the error message.
        refusal: Beginning of the error message.
        config: Configuration of the model, for advice; None for a discriminator.

    Raises:
        UsageError: A ValueError, naming all of them.
    """
    unused = set(_PARTS) - {name.partition(".")[0] for name in own}
    common = [name for name in own if name in found]
    shapes = [
        f"{layout.theirs(n)} is {tuple(found[n].shape)} instead of "
        f"{tuple(own[n].shape)}"
        for n in common
        if found[n].shape != own[n].shape
    ]
    # VideoMAE and some exports omit the positional embedding because it is fixed.
    missing = [n for n in own if n not in found and not n.endswith(".pos_embed")]
    spare = spare_names(own, found)
    unexpected = [
        n
        for n in found
        if n not in own and n.partition(".")[0] not in unused and n not in spare
    ]
    integers = [n for n in common if not found[n].is_floating_point()]
    problems = [
        f"{label} {_listed(entries)}"
        for label, entries in (
            ("missing", [layout.theirs(n) for n in missing]),
            ("unexpected", [layout.theirs(n) for n in unexpected]),
            ("wrong shape:", shapes),
            ("integers in", [layout.theirs(n) for n in integers]),
        )
        if entries
    ]
    if problems:
        hint = _hint(own, found, config)
        raise UsageError(f"{refusal}: {'; '.join(problems)}.{hint}")


def check_finite(
    own: Mapping[str, Tensor], found: Mapping[str, Tensor], layout: Layout, path: Path
) -> None:
    """Rejects weights that would make every result NaN.

    Args:
        own: The model's weights by their names in `Marlin.state_dict()`.
        found: Weights of the checkpoint by the same names.
        layout: Layout of the checkpoint, for the names in the error message.
        path: The file, for the error message.

    Raises:
        UsageError: A ValueError, naming the weights with NaN or infinity.
    """
    broken = [n for n in own if n in found and not torch.isfinite(found[n]).all()]
    if broken:
        raise UsageError(
            f"The weights in {path} hold NaN or infinity: "
            f"{_listed([layout.theirs(n) for n in broken])}. Their training diverged, "
            "or the file is damaged."
        )


def spare_names(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Names of weights that an encoder does without: heads, and parts we do not know.

    Args:
        own: The model's weights by their names in `Marlin.state_dict()`.
        found: Those of the checkpoint by the same names.

    Returns:
        Those names of `found`; none for a whole model or a discriminator, which must
        find what they have themselves and nothing else.
    """
    if {name.partition(".")[0] for name in own} != {"encoder"}:
        return []
    return [
        n for n in found if n.partition(".")[0] not in _PARTS or n.startswith(_HEADS)
    ]


def warn_of_left_out(names: Sequence[str], model: str, path: Path) -> None:
    """Warns of weights of the file that are not loaded, if there are any.

    Args:
        names: Their names in the file.
        model: Name of the model's class.
        path: The file.
    """
    if names:
        warnings.warn(
            f"{path} holds more than a {model}; left out: {_listed(names)}.",
            stacklevel=4,
        )


def _hint(
    own: Mapping[str, Tensor], found: Mapping[str, Tensor], config: MarlinConfig | None
) -> str:
    parts = {name.partition(".")[0] for name in found}
    if "decoder" not in parts and any(name.startswith("decoder.") for name in own):
        return " They belong to an encoder alone: load them with create_marlin_encoder."
    kernel = found.get("encoder.patch_embed.weight")
    if config is not None and kernel is not None:
        wanted = config.tubelet_shape
        if kernel.ndim == 5 and kernel.shape[1:] != wanted:
            _, frames, height, width = kernel.shape[1:]
            return (
                f" They are for tubelets of {frames}x{height}x{width} pixels, the "
                f"model is for {'x'.join(map(str, wanted[1:]))}: set tubelet_size and "
                "patch_size."
            )
        if kernel.ndim == 2 and kernel.shape[1] != config.patch_dim:
            return (
                f" They are for tubelets of {kernel.shape[1]} values, the model is for "
                f"{config.patch_dim}: set patch_size or tubelet_size."
            )
    for part in ("encoder", "decoder"):
        there, here = count_blocks(found, part), count_blocks(own, part)
        if there and here and there != here:
            return (
                f" Its {part} has {there} blocks, the model's has {here}: choose the "
                f"matching model by name, or set {part}_depth."
            )
    if any(n in found and found[n].shape != t.shape for n, t in own.items()):
        return " They belong to a model of another size: choose its name."
    return ""


def _listed(entries: Sequence[str]) -> str:
    text = ", ".join(entries[:_LISTED])
    more = len(entries) - _LISTED
    return f"{text} and {more} more" if more > 0 else text
