"""Loading weights of any known checkpoint into a model."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.models.weights.files import WEIGHTS_NAME, locate, read_tensors
from lightly_marlin.models.weights.names import WeightNames, recognise
from lightly_marlin.models.weights.position_fitting import (
    RELEASED_GRID,
    Grid,
    guess_grid,
    interpolate_positions,
)
from lightly_marlin.utils.errors import UsageError

__all__ = ["load_weights", "read_config", "saved_config"]

_PARTS = ("encoder", "enc_dec_proj", "decoder", "discriminator")
_LISTED = 10
# A model of other clips has the same weights but for its position tables.
_CLIP_FIELDS = ("num_frames", "img_size")
# What a config.json must say, because the shapes of weights do not.
_UNSEEN_FIELDS = ("encoder_num_heads", "decoder_num_heads")
_BLOCK = re.compile(r"(encoder|decoder)\.blocks\.(\d+)\.")


def load_weights(module: nn.Module, source: str | Path) -> None:
    """Loads a module's part of a checkpoint into it.

    All or nothing: a checkpoint that does not fit leaves the module as it was. Position
    tables are taken from the file where it has them; if they are for another number of
    frames or frame size, they are interpolated, and a warning says so.

    Args:
        module: A `Marlin`, `MarlinEncoder` or `MarlinDiscriminator`.
        source: Path of a checkpoint or of a folder with `model.safetensors`, or the id
            of a repository on the Hugging Face Hub. Understood are the released
            checkpoints of MARLIN, those of this package, and VideoMAE pretraining.

    Raises:
        UsageError: A ValueError, if `source` does not exist, cannot be read without
            running code, does not fit, or holds NaN or infinity; the message names the
            weights.
    """
    path = locate(source)
    tensors = read_tensors(path)
    names = recognise(tensors, path)
    prefix = str(module.state_prefix)
    own = {prefix + name: tensor for name, tensor in module.state_dict().items()}
    config = getattr(module, "config", None)
    grids: set[Grid] = set()
    found = {names.here(name): tensor for name, tensor in tensors.items()}
    if config is not None:
        saved = saved_config(path)
        if saved is not None:
            _check_config(config, saved, path, encoder_only=bool(prefix))
        tubelet = config.tubelet_shape
        found = {n: names.convert(n, tensor, tubelet) for n, tensor in found.items()}
        grids = _fit_positions(own, found, config, saved)
    problems = _misfits(own, found, names)
    if problems:
        hint = _hint(own, found, config)
        raise UsageError(
            f"The weights in {path} do not fit {type(module).__name__}: "
            f"{'; '.join(problems)}.{hint}"
        )
    _check_finite(own, found, names, path)
    if config is not None:
        _tell_about_positions(own, found, grids, config, path)
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
    if Path(source).expanduser().is_file():
        raise UsageError(
            f"{source} is a file, which does not say what sizes its model has. Give "
            "the folder that was written by save_pretrained, or load the file by "
            "create_marlin(name, weights=...) or create_marlin_encoder."
        )
    path = locate(source, "config.json")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(
            f"Cannot read {path}: it is no JSON file ({error})."
        ) from error
    if not isinstance(values, dict):
        raise UsageError(f"Cannot use {path}: it holds no settings by name.")
    # The models released on the Hub are Hugging Face models of this type.
    if values.get("model_type", "marlin") != "marlin":
        raise UsageError(
            f"Cannot use {path}: it is of a {values['model_type']!r} model of Hugging "
            "Face's transformers, not of MARLIN."
        )
    try:
        config = MarlinConfig.from_dict(values)
    except UsageError as error:
        raise UsageError(f"Cannot use {path}: {error}") from error
    silent = [name for name in _UNSEEN_FIELDS if name not in values]
    if silent:
        raise UsageError(
            f"Cannot use {path}: it does not say {' and '.join(silent)}, which weights "
            "do not show."
        )
    return config


def saved_config(weights: Path) -> MarlinConfig | None:
    """Reads the configuration beside the weights of a model folder.

    Args:
        weights: Path of the weights.

    Returns:
        The configuration, or None if there is none.

    Raises:
        UsageError: A ValueError, if there is one that cannot be used.
    """
    if weights.name != WEIGHTS_NAME or not weights.with_name("config.json").is_file():
        return None
    return read_config(weights.parent)


def _check_config(
    config: MarlinConfig, saved: MarlinConfig, weights: Path, encoder_only: bool
) -> None:
    """Refuses what shapes do not show, above all another number of heads."""
    there = asdict(saved)
    different = [
        f"{name} is {there[name]} there and {value} here"
        for name, value in asdict(config).items()
        if there[name] != value
        and name not in _CLIP_FIELDS
        and not (encoder_only and name.startswith("decoder_"))
    ]
    if different:
        raise UsageError(
            f"The weights in {weights} are for a model of another configuration: "
            f"{'; '.join(different)}."
        )


def _fit_positions(
    own: dict[str, Tensor],
    found: dict[str, Tensor],
    config: MarlinConfig,
    saved: MarlinConfig | None,
) -> set[Grid]:
    """Interpolates the tables in `found` that are for other clips.

    Returns:
        The grids that they are for; nothing where nothing had to be done.
    """
    kernel = found.get("encoder.patch_embed.weight")
    if kernel is None or kernel.shape[1:] != (config.patch_dim,):
        return set()  # Of another patch size: whatever its grid is, it does not fit.
    grids = set()
    for name, tensor in own.items():
        table = found.get(name)
        if not name.endswith(".pos_embed") or table is None or table.ndim != 3:
            continue
        if table.shape[::2] != tensor.shape[::2]:
            continue  # Of another width: reported with the other shapes.
        count = table.shape[1]
        if saved is not None and saved.num_tokens == count:
            grid = saved.grid
        elif count == config.num_tokens:
            grid = config.grid
        else:
            grid = guess_grid(count, config.grid)
        if grid != config.grid:
            found[name] = interpolate_positions(table, grid, config.grid)
            grids.add(grid)
    return grids


def _tell_about_positions(
    own: dict[str, Tensor],
    found: dict[str, Tensor],
    grids: set[Grid],
    config: MarlinConfig,
    weights: Path,
) -> None:
    """Warns of tables that were interpolated, or computed for an unusual size."""
    advice = "fine-tune before you rely on what the model computes."
    size = _times(config.grid)
    if grids:
        warnings.warn(
            f"The position tables in {weights} are for "
            f"{' and '.join(_times(grid) for grid in sorted(grids))} tokens (time x "
            f"height x width) and were interpolated to {size}: {advice}",
            stacklevel=4,
        )
    absent = any(n.endswith(".pos_embed") and n not in found for n in own)
    if absent and config.grid != RELEASED_GRID:
        warnings.warn(
            f"There are no position tables in {weights}; those of the model's {size} "
            f"tokens were computed. If it was trained on {_times(RELEASED_GRID)}, "
            f"{advice}",
            stacklevel=4,
        )


def _times(grid: Grid) -> str:
    return "x".join(map(str, grid))


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
    integers = [n for n in own if n in found and not found[n].is_floating_point()]
    return [
        f"{label} {_listed(entries)}"
        for label, entries in (
            ("missing", [names.there(n) for n in missing]),
            ("unexpected", [names.there(n) for n in unexpected]),
            ("wrong shape:", shapes),
            ("integers in", [names.there(n) for n in integers]),
        )
        if entries
    ]


def _check_finite(
    own: dict[str, Tensor], found: dict[str, Tensor], names: WeightNames, path: Path
) -> None:
    """Refuses weights that would make every result NaN."""
    broken = [n for n in own if n in found and not torch.isfinite(found[n]).all()]
    if broken:
        raise UsageError(
            f"The weights in {path} hold NaN or infinity: "
            f"{_listed([names.there(n) for n in broken])}. Their training diverged, or "
            "the file is damaged."
        )


def _hint(
    own: dict[str, Tensor], found: dict[str, Tensor], config: MarlinConfig | None
) -> str:
    parts = {name.partition(".")[0] for name in found}
    if "decoder" not in parts and any(name.startswith("decoder.") for name in own):
        return (
            " They are those of an encoder alone: load them with create_marlin_encoder."
        )
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
        there, here = _depth(found, part), _depth(own, part)
        if there and here and there != here:
            return (
                f" Its {part} has {there} blocks, the model's has {here}: choose the "
                f"model's name, or set {part}_depth."
            )
    if any(n in found and found[n].shape != t.shape for n, t in own.items()):
        return " They are those of a model of another size: choose its name."
    return ""


def _depth(names: Iterable[str], part: str) -> int:
    found = (_BLOCK.match(name) for name in names)
    return len({match[2] for match in found if match and match[1] == part})


def _listed(entries: Sequence[str]) -> str:
    text = ", ".join(entries[:_LISTED])
    more = len(entries) - _LISTED
    return f"{text} and {more} more" if more > 0 else text
