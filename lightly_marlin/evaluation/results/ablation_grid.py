"""Grid of an ablation: a YAML file of what is pretrained, and what it is probed on.

    pretrain: {model: marlin_vit_tiny, store: store, schedule_steps: 600}
    grid: {mask: [fasking, tube], mask_ratio: [0.75, 0.9]}
    seeds: [0, 1, 2]
    probes:
      mood: {labels: mood.csv, store: mood_store, column: [happy, calm]}
    baselines: [random, pixels]

Settings that go together are a variant, and every combination of `grid` is pretrained
with each:

    variants:
      pixels: {objectives: [pixels=1], mask: fasking}
      contrast: {objectives: [contrast=1], mask: random, flip: 0.5}

Settings are those of `pretrain_marlin.py`, options of probes those of `evaluate.py`.
Paths are relative to the folder of the file.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lightly_marlin.evaluation.results.probe_options import probe_arguments
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.training.settings import PretrainSettings, read_settings
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.settings import SEED, convert_setting, list_options

__all__ = ["BASELINES", "Cell", "Grid", "read_grid"]

BASELINES = ("random", "pixels", "histograms")
"""What the cells can be compared with, beside the constant predictor."""

_USUAL_BASELINES = ("random", "pixels")

_KEYS = ("pretrain", "variants", "grid", "seeds", "probes", "baselines")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# What a pretraining leaves is beside the folders of the probes and their logs.
_TAKEN_NAMES = ("run", "pretrain", "pretrained.json", "settings.yaml")
_OF_ABLATION = {"seed": "list seeds under the key seeds", "out": "drop it"}
_WITHOUT_GRID = "pretrained"


@dataclass(frozen=True)
class Cell:
    """Settings to pretrain with, once per seed.

    Attributes:
        name: What the cell differs in, such as "mask=fasking,mask_ratio=0.9" or
            "variant=contrast".
        settings: All settings; seed and folder of the run are replaced.
    """

    name: str
    settings: PretrainSettings


@dataclass(frozen=True)
class Grid:
    """Content of the file, checked.

    Attributes:
        cells: Every combination of the settings under "grid" with every variant, in the
            file's order.
        seeds: Seeds of pretraining, splits and heads.
        probes: Arguments of `evaluate.py` by name of the probe.
        baselines: Names of `BASELINES`.
    """

    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    probes: Mapping[str, tuple[str, ...]]
    baselines: tuple[str, ...]


def read_grid(path: Path, presets: Path) -> Grid:
    """Reads the grid of an ablation and checks all of it.

    Args:
        path: The YAML file.
        presets: Folder of the settings of each model, MODEL.yaml.

    Raises:
        UsageError: If the file cannot be read, or something in it cannot be used; the
            message names the key.
    """
    content = _read_yaml(path)
    folder = path.absolute().parent
    try:
        unknown = [str(key) for key in content if key not in _KEYS]
        if unknown:
            raise UsageError(
                f"the key {unknown[0]} is unknown. Supported are {', '.join(_KEYS)}."
            )
        shared = {
            name: _setting("pretrain", name, value, folder)
            for name, value in _mapping(content, "pretrain").items()
        }
        return Grid(
            _cells(
                shared,
                _variants(_mapping(content, "variants"), folder),
                _mapping(content, "grid"),
                folder,
                presets,
            ),
            _seeds(content.get("seeds")),
            _probes(_mapping(content, "probes"), folder),
            _baselines(content.get("baselines", list(_USUAL_BASELINES))),
        )
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _read_yaml(path: Path) -> dict[Any, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"The grid {path} cannot be read: {reason}") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"The grid {path} must map {', '.join(_KEYS)} to values, got "
            f"{type(content).__name__}."
        )
    return content


def _mapping(content: Mapping[Any, Any], key: str) -> dict[str, Any]:
    value = content.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{key} must map names to values, got {value!r}.")
    return {str(name): item for name, item in value.items()}


def _sequence(key: str, value: object) -> list[Any]:
    """Returns a list with something in it, and nothing twice."""
    if not isinstance(value, list) or not value:
        raise UsageError(f"{key} must be a list of at least one value, got {value!r}.")
    for index, item in enumerate(value):
        if item in value[:index]:
            raise UsageError(f"{key} has {item!r} twice.")
    return value


def _setting(where: str, name: str, value: object, folder: Path) -> Any:
    """Converts and checks the value of a setting of the pretraining."""
    key = f"{where}.{name}"
    if name in _OF_ABLATION:
        raise UsageError(
            f"{key} is set by the ablation, per cell: {_OF_ABLATION[name]}."
        )
    options = {option.name: option for option in list_options(PretrainSettings)}
    if name not in options:
        supported = ", ".join(other for other in options if other not in _OF_ABLATION)
        raise UsageError(f"{key} is unknown. Supported settings are {supported}.")
    try:
        converted = convert_setting(PretrainSettings, name, value)
    except TypeError as error:
        raise UsageError(f"{key} ({value!r}) must be {error}.") from error
    if converted is None:
        return None
    try:
        if (allowed := options[name].allowed) is not None:
            allowed.check(name, converted)
        return _setting_path(name, converted, folder)
    except UsageError as error:
        raise UsageError(f"{key}: {error}") from error


def _setting_path(name: str, value: Any, folder: Path) -> Any:
    """Returns a path as an absolute one, any other value as it is."""
    if name not in ("store", "probe", "probe_store", "weights"):
        return value
    path = Path(os.path.abspath(folder / value))
    if name == "weights":
        # A checkpoint, or the name of a repository.
        return str(path) if path.exists() else value
    if not path.exists():
        raise UsageError(f"{path} does not exist.")
    if name != "probe":
        FaceStore(path)
    return str(path)


def _variants(variants: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Returns the settings of every variant; one without a name if there are none."""
    checked = {}
    for name in variants:
        key = f"variants.{name}"
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{key}: the name is part of that of a folder. It must be of letters, "
                "digits, '_', '-' and '.'."
            )
        checked[name] = {
            setting: _setting(key, setting, value, folder)
            for setting, value in _mapping(variants, name).items()
        }
    return checked or {"": {}}


def _cells(
    shared: Mapping[str, Any],
    variants: Mapping[str, Mapping[str, Any]],
    axes: Mapping[str, Any],
    folder: Path,
    presets: Path,
) -> tuple[Cell, ...]:
    """Returns every combination of the settings of the grid with every variant."""
    columns: list[list[tuple[str, str, Any]]] = []
    for name, values in axes.items():
        if name in shared:
            raise UsageError(f"grid.{name} is under pretrain as well. Drop one.")
        for variant, settings in variants.items():
            if name in settings:
                raise UsageError(
                    f"grid.{name} is under variants.{variant} as well. Drop one."
                )
        column = [
            (name, _text(value), _setting("grid", name, value, folder))
            for value in _sequence(f"grid.{name}", values)
        ]
        # 0.9 and "0.9" differ in YAML only.
        _sequence(f"grid.{name}", [text for _, text, _ in column])
        columns.append(column)
    cells = []
    for variant, combination in itertools.product(
        variants, itertools.product(*columns)
    ):
        parts = [f"variant={variant}"] if variant else []
        parts += [f"{key}={text}" for key, text, _ in combination]
        values = {**shared, **variants[variant]}
        values |= {key: value for key, _, value in combination}
        name = ",".join(parts) or _WITHOUT_GRID
        cells.append(Cell(name, _settings(values, presets)))
    return tuple(cells)


def _settings(values: Mapping[str, Any], presets: Path) -> PretrainSettings:
    """Returns the settings of a model's file with some of them replaced."""
    if "epochs" in values:
        # It comes before the other ways to end, which the model's file may have.
        values = {"schedule_steps": None, "max_steps": None, **values}
    model = values.get("model", PretrainSettings.model)
    return read_settings([presets / f"{model}.yaml"], values)


def _text(value: object) -> str:
    """Returns a value as YAML has it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def _seeds(value: object) -> tuple[int, ...]:
    seeds = _sequence("seeds", value)
    for seed in seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or not SEED.holds(seed):
            raise UsageError(f"seeds has {seed!r}: must be an integer {SEED.text}.")
    return tuple(seeds)


def _probes(probes: Mapping[str, Any], folder: Path) -> dict[str, tuple[str, ...]]:
    if not probes:
        raise UsageError("probes is missing: name at least one evaluation.")
    arguments = {}
    for name in probes:
        log = name.endswith(".log")
        if not _NAME.fullmatch(name) or name in _TAKEN_NAMES or log:
            raise UsageError(
                f"probes.{name}: the name is that of a folder. It must be of letters, "
                f"digits, '_', '-' and '.', not end in .log, and not be one of "
                f"{', '.join(_TAKEN_NAMES)}."
            )
        try:
            arguments[name] = probe_arguments(_mapping(probes, name), folder)
        except UsageError as error:
            raise UsageError(f"probes.{name}: {error}") from error
    return arguments


def _baselines(value: object) -> tuple[str, ...]:
    if value is None or value == []:
        return ()
    names: Sequence[Any] = _sequence("baselines", value)
    for name in names:
        if name not in BASELINES:
            raise UsageError(
                f"baselines has {name!r}. Supported are {', '.join(BASELINES)}; the "
                "constant predictor is always there."
            )
    return tuple(names)
