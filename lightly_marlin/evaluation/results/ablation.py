"""Folder of an ablation: its rows, the steps that are to be run, and its record.

    OUT/grid.json                          what is ablated, so that no other joins it
    OUT/cells/<row>/seed=<s>/run           the pretraining of a cell
    OUT/cells/<row>/seed=<s>/<probe>       the evaluation of a cell or baseline
    OUT/features                           features, by digest of the weights

Steps are command lines of the recipes, each resumable on its own; what has its last
file is finished and not run again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lightly_marlin.evaluation.results.ablation_grid import Grid
from lightly_marlin.evaluation.results.result import RESULTS_NAME
from lightly_marlin.training.settings import PretrainSettings, write_settings
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import write_json

__all__ = [
    "RECORD_NAME",
    "SCHEMA",
    "AblationFolder",
    "Row",
    "Step",
    "plain_settings",
    "rows_of",
]

SCHEMA = 1
RECORD_NAME = "grid.json"

_USUAL_SIZE = PretrainSettings.image_size
_DONE_NAME = "pretrained.json"
# Of a run, not of a cell.
_PER_SEED = ("seed", "out")
# What else may be in the name of a folder beside letters and digits.
_SAFE = "=,+ "


@dataclass(frozen=True)
class Row:
    """Row of the table: a cell of the grid or a baseline.

    Attributes:
        name: Name of the cell, or of `BASELINES`.
        settings: Settings of a cell's pretraining; None for a baseline.
        model: Name of the model of a baseline, as evaluate.py takes it.
        image_size: Height and width of the clips of a baseline, but for pixels.
    """

    name: str
    settings: PretrainSettings | None = None
    model: str | None = None
    image_size: int | None = None


@dataclass(frozen=True)
class Step:
    """One run of a recipe.

    Attributes:
        row: Name of the row it is for.
        seed: Its seed.
        task: "pretrain" or the name of the probe.
        recipe: File name of the recipe.
        arguments: Arguments of the recipe.
        settings: Settings of the pretraining; None for an evaluation.
        log: File of what the recipe prints.
        done: File that exists once the step is finished.
    """

    row: str
    seed: int
    task: str
    recipe: str
    arguments: tuple[str, ...]
    settings: PretrainSettings | None
    log: Path
    done: Path

    @property
    def name(self) -> str:
        """The step in words."""
        return f"{self.row} seed={self.seed} {self.task}"

    def is_finished(self) -> bool:
        """Returns whether there is nothing left to do.

        Raises:
            UsageError: If a pretraining of other settings was finished here.
        """
        if not self.done.exists():
            return False
        if self.settings is not None:
            before, now = _read_json(self.done), plain_settings(self.settings)
            if (key := _first_difference(before, now)) is not None:
                raise UsageError(
                    f"{self.done} is of a pretraining with {key} {before.get(key)}, "
                    f"not {now.get(key)}. Choose another --out."
                )
        return True

    def prepare(self) -> None:
        """Makes the folder, and the file of settings that the arguments name.

        Raises:
            UsageError: If that is impossible.
        """
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            if self.settings is not None:
                write_settings(self.settings, _settings_file(self.log.parent))
        except OSError as error:
            raise UsageError(
                f"The folder {self.log.parent} cannot be written: {error.strerror}."
            ) from error

    def finish(self) -> None:
        """Marks a pretraining as finished; evaluations do so themselves."""
        if self.settings is not None:
            write_json(self.done, plain_settings(self.settings))


def rows_of(grid: Grid) -> list[Row]:
    """Returns the cells in the order of the grid, then the baselines.

    There is a random initialisation of every model and image size in the grid, and
    histograms of every size.

    Args:
        grid: The grid.
    """
    rows = [Row(cell.name, settings=cell.settings) for cell in grid.cells]
    settings = [cell.settings for cell in grid.cells]
    kinds: dict[str, list[tuple[str, int | None]]] = {
        "random": [(one.model, one.image_size) for one in settings],
        "pixels": [("pixels", None)],
        "histograms": [("histograms", one.image_size) for one in settings],
    }
    for baseline in grid.baselines:
        unique = dict.fromkeys(kinds[baseline])
        models, sizes = ({*values} for values in zip(*unique, strict=True))
        for model, size in unique:
            name = baseline
            if len(models) > 1:
                name += f",model={model}"
            if len(sizes) > 1:
                name += f",image_size={size}"
            rows.append(Row(name, model=model, image_size=size))
    return rows


class AblationFolder:
    """Folder of an ablation.

    Attributes:
        path: The folder.
        grid: What is ablated.
        rows: Rows of the table.
    """

    def __init__(self, path: Path, grid: Grid) -> None:
        """Names the folder; nothing is read or written yet.

        Args:
            path: The folder.
            grid: What is ablated.
        """
        self.path = path
        self.grid = grid
        self.rows = rows_of(grid)

    def open(self, *, resume: bool) -> None:
        """Makes the folder, or checks that what is in it belongs to the grid.

        Args:
            resume: Whether to continue an ablation that may have been begun here. The
                grid may have grown: by cells, seeds, probes and baselines.

        Raises:
            UsageError: If there is an ablation already and `resume` is not set, if it
                is of another grid, or if the folder cannot be made.
        """
        self.check(resume=resume)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"The folder {self.path} cannot be made: {error.strerror}. Choose "
                "another with --out."
            ) from error

    def write_record(self) -> None:
        """Writes what is ablated; call it as the only process that works here."""
        write_json(self.path / RECORD_NAME, _record_of(self.grid))

    def check(self, *, resume: bool) -> None:
        """Checks as `open` does, and writes nothing.

        Args:
            resume: Whether to continue an ablation that may have been begun here.

        Raises:
            UsageError: If there is an ablation already and `resume` is not set, or if
                it is of another grid.
        """
        record = self.path / RECORD_NAME
        if not record.exists():
            if (self.path / "cells").exists():
                raise UsageError(
                    f"The folder {self.path} has cells, but no {RECORD_NAME} that says "
                    "of which grid. Choose another with --out."
                )
            return
        if not resume:
            raise UsageError(
                f"The folder {self.path} holds an ablation already. Continue it with "
                "--resume, or choose another folder with --out."
            )
        before = _read_json(record)
        if before.get("schema") != SCHEMA:
            raise UsageError(
                f"{record} is of schema {before.get('schema')}; this release reads "
                f"schema {SCHEMA}. Choose another --out."
            )
        if (what := _what_changed(before, _record_of(self.grid))) is not None:
            raise UsageError(
                f"The folder {self.path} holds the ablation of another grid: {what}. "
                "Choose another folder with --out."
            )

    def result(self, row: str, seed: int, probe: str) -> Path:
        """Returns the folder of a result.

        Args:
            row: Name of the row.
            seed: The seed.
            probe: Name of the probe.
        """
        return self._seed_folder(row, seed) / probe

    def steps(self) -> Iterator[Step]:
        """Yields all steps: by seed, so that every row has its first result early."""
        for seed in self.grid.seeds:
            for row in self.rows:
                if row.settings is not None:
                    yield self._pretraining(row.name, row.settings, seed)
                for probe in self.grid.probes:
                    yield self._evaluation(row, seed, probe)

    def _seed_folder(self, row: str, seed: int) -> Path:
        # Not "/", as a value of the grid may be a path, nor a leading ".".
        return self.path / "cells" / quote(row, safe=_SAFE) / f"seed={seed}"

    def _pretraining(self, row: str, settings: PretrainSettings, seed: int) -> Step:
        folder = self._seed_folder(row, seed)
        file = _settings_file(folder)
        arguments = ("--config", str(file), "--seed", str(seed))
        return Step(
            row,
            seed,
            "pretrain",
            "pretrain_marlin.py",
            (*arguments, "--out", str(folder / "run"), "--resume"),
            settings,
            folder / "pretrain.log",
            folder / _DONE_NAME,
        )

    def _evaluation(self, row: Row, seed: int, probe: str) -> Step:
        folder = self._seed_folder(row.name, seed)
        model: tuple[str, ...]
        if row.model is None:
            model = ("--weights", str(folder / "run" / "model"))
        else:
            model = ("--model", row.model)
            if row.image_size not in (None, _USUAL_SIZE):
                model += ("--image-size", str(row.image_size))
        places = ("--out", str(folder / probe), "--cache", str(self.path / "features"))
        arguments = (*self.grid.probes[probe], *model, "--seed", str(seed), *places)
        return Step(
            row.name,
            seed,
            probe,
            "evaluate.py",
            arguments,
            None,
            folder / f"{probe}.log",
            folder / probe / RESULTS_NAME,
        )


def _settings_file(folder: Path) -> Path:
    return folder / "settings.yaml"


def plain_settings(settings: PretrainSettings) -> dict[str, Any]:
    """Returns the settings of a cell for JSON, without those of a single run.

    Args:
        settings: Settings of its pretraining.
    """
    values = asdict(settings)
    return {name: value for name, value in values.items() if name not in _PER_SEED}


def _record_of(grid: Grid) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "cells": {cell.name: plain_settings(cell.settings) for cell in grid.cells},
        "seeds": list(grid.seeds),
        "probes": {name: list(options) for name, options in grid.probes.items()},
        "baselines": list(grid.baselines),
    }


def _what_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Returns what of an earlier grid is missing or other now; None if nothing."""
    for name, settings in before["cells"].items():
        if name not in now["cells"]:
            return f"it has the cell {name}"
        cell = now["cells"][name]
        if (key := _first_difference(settings, cell)) is not None:
            return f"{name} has {key} {settings.get(key)} there, {cell.get(key)} here"
    for name, arguments in before["probes"].items():
        if name not in now["probes"]:
            return f"it has the probe {name}"
        if arguments != now["probes"][name]:
            there, here = " ".join(arguments), " ".join(now["probes"][name])
            return f"the probe {name} is {there!r} there, {here!r} here"
    for key in ("seeds", "baselines"):
        if missing := [item for item in before[key] if item not in now[key]]:
            return f"it has {missing[0]} among its {key}"
    return None


def _first_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Returns the first key whose value differs; None if all are equal."""
    names = dict.fromkeys([*one, *other])
    return next((name for name in names if one.get(name) != other.get(name)), None)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}. Choose another --out."
        ) from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} is damaged. Choose another --out.")
    return content
