"""Loading weights of any known checkpoint into a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from torch import Tensor, nn

from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.models.weight_files import WEIGHTS_NAME, locate, read_tensors
from lightly_marlin.models.weight_names import WeightNames, recognise
from lightly_marlin.utils.errors import UsageError

__all__ = ["load_weights", "read_config"]

_PARTS = ("encoder", "enc_dec_proj", "decoder", "discriminator")
_LISTED = 10


def load_weights(module: nn.Module, source: str | Path) -> None:
    """Loads a module's part of a checkpoint into it.

    All or nothing: a checkpoint that does not fit leaves the module as it was. Position
    tables are taken from the file where it has them.

    Args:
        module: A `Marlin`, `MarlinEncoder` or `MarlinDiscriminator`.
        source: Path of a checkpoint or of a folder with `model.safetensors`, or the id
            of a repository on the Hugging Face Hub. Understood are the released
            checkpoints of MARLIN, those of this package, and VideoMAE pretraining.

    Raises:
        UsageError: A ValueError, if `source` does not exist, cannot be read without
            running code, or does not fit; the message names the weights.
    """
    path = locate(source)
    tensors = read_tensors(path)
    names = recognise(tensors)
    prefix = str(module.state_prefix)
    own = {prefix + name: tensor for name, tensor in module.state_dict().items()}
    config = getattr(module, "config", None)
    found = {names.here(name): tensor for name, tensor in tensors.items()}
    if config is not None:
        _check_config(config, path, encoder_only=bool(prefix))
        tubelet = config.tubelet_shape
        found = {n: names.convert(n, tensor, tubelet) for n, tensor in found.items()}
    problems = _misfits(own, found, names)
    if problems:
        hint = _hint(own, found)
        raise UsageError(
            f"The weights in {path} do not fit {type(module).__name__}: "
            f"{'; '.join(problems)}.{hint}"
        )
    module.load_state_dict(
        {
            name.removeprefix(prefix): found.get(name, tensor)
            for name, tensor in own.items()
        }
    )


def read_config(source: str | Path) -> MarlinConfig:
    """Reads the `config.json` of a model folder or repository.

    Args:
        source: A folder, or the id of a repository on the Hugging Face Hub.

    Returns:
        The configuration.

    Raises:
        UsageError: A ValueError, if there is none or it cannot be used.
    """
    path = locate(source, "config.json")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(
            f"Cannot read {path}: it is no JSON file ({error})."
        ) from error
    if not isinstance(values, dict):
        raise UsageError(f"Cannot use {path}: it holds no settings by name.")
    return MarlinConfig.from_dict(values)


def _check_config(config: MarlinConfig, weights: Path, encoder_only: bool) -> None:
    """Refuses what shapes do not show, above all another number of heads."""
    if weights.name != WEIGHTS_NAME or not weights.with_name("config.json").is_file():
        return
    saved = asdict(read_config(weights.parent))
    different = [
        f"{name} is {saved[name]} there and {value} here"
        for name, value in asdict(config).items()
        if saved[name] != value and not (encoder_only and name.startswith("decoder_"))
    ]
    if different:
        raise UsageError(
            f"The weights in {weights} are for a model of another configuration: "
            f"{'; '.join(different)}."
        )


def _misfits(
    own: dict[str, Tensor], found: dict[str, Tensor], names: WeightNames
) -> list[str]:
    used = {name.partition(".")[0] for name in own}
    unused = set(_PARTS) - used
    # VideoMAE and some exports leave the position table out, because it is fixed.
    missing = [n for n in own if n not in found and not n.endswith(".pos_embed")]
    unexpected = [
        n for n in found if n not in own and n.partition(".")[0] not in unused
    ]
    shapes = [
        f"{names.there(n)} is {tuple(found[n].shape)} instead of {tuple(t.shape)}"
        for n, t in own.items()
        if n in found and found[n].shape != t.shape
    ]
    return [
        f"{label} {_listed(entries)}"
        for label, entries in (
            ("missing", [names.there(n) for n in missing]),
            ("unexpected", [names.there(n) for n in unexpected]),
            ("wrong shape:", shapes),
        )
        if entries
    ]


def _hint(own: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    parts = {name.partition(".")[0] for name in found}
    if "decoder" not in parts and any(name.startswith("decoder.") for name in own):
        return (
            " They are those of an encoder alone: load them with create_marlin_encoder."
        )
    if any(n in found and found[n].shape != t.shape for n, t in own.items()):
        return " They are those of a model of another size: choose its name."
    return ""


def _listed(entries: Sequence[str]) -> str:
    text = ", ".join(entries[:_LISTED])
    more = len(entries) - _LISTED
    return f"{text} and {more} more" if more > 0 else text
