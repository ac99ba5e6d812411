"""Folder of an evaluation: pairs that were measured are not measured again."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.jobs.fingerprint import take_fingerprint
from lightly_marlin.jobs.lock import take_lock
from lightly_marlin.lip_sync.measures.pair_measures import PairMeasures, PairRecord
from lightly_marlin.lip_sync.measures.video_pairs import VideoPair
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, write_json

__all__ = ["KeptPairs"]

_SETTINGS_NAME = "settings.json"
_PAIRS_NAME = "pairs"
_RECORD = "record"

# What reading a damaged file may end with; OSError also if there is none.
_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile)


class KeptPairs:
    """Measures of pairs, a file each, below the folder of an evaluation.

    Use it in a `with` block: one process writes at a time. A pair whose files change is
    measured again.

    Attributes:
        folder: The folder of the evaluation.
    """

    def __init__(self, folder: Path | str, settings: Mapping[str, Any]) -> None:
        """Creates or opens the folder.

        Args:
            folder: The folder of the evaluation.
            settings: All that the measures depend on beside the videos, for JSON: by
                names of options.

        Raises:
            UsageError: If the folder holds an evaluation with other settings, cannot be
                written, or another process writes to it.
        """
        self.folder = Path(folder)
        with self._explained():
            (self.folder / _PAIRS_NAME).mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(self.folder, "folder")
        try:
            self._check(json.loads(json.dumps(settings)))
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> KeptPairs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.close()

    def load(self, pair: VideoPair) -> PairRecord | None:
        """Returns the numbers of a pair; None if there are none, or its files changed.

        Args:
            pair: The pair.
        """
        try:
            with np.load(self._path(pair.name)) as file:
                kept = json.loads(str(file[_RECORD]))
            if kept.pop("files") != _files(pair):
                return None
            return PairRecord(**kept)
        except _DAMAGE:
            return None

    def save(self, pair: VideoPair, measures: PairMeasures) -> None:
        """Keeps the measures of a pair.

        Args:
            pair: The pair.
            measures: Its measures.

        Raises:
            UsageError: If they cannot be written.
        """
        record = json.dumps(asdict(measures.record) | {"files": _files(pair)})
        kept: dict[str, Any] = {_RECORD: np.array(record), **measures.arrays}
        path = self._path(pair.name)
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as temporary:
                np.savez(temporary, **kept)

    def arrays(self, names: Iterable[str], kind: str) -> Iterator[npt.NDArray[Any]]:
        """Yields an array of each pair that has it, one at a time in memory.

        Args:
            names: Names of pairs that were kept.
            kind: Name of the array, see `PairMeasures.arrays`.
        """
        for name in names:
            with np.load(self._path(name)) as file:
                if kind in file.files:
                    yield file[kind]

    def _path(self, name: str) -> Path:
        return self.folder / _PAIRS_NAME / f"{name}.npz"

    def _check(self, settings: dict[str, Any]) -> None:
        """Raises a UsageError if the folder was begun with other settings."""
        path = self.folder / _SETTINGS_NAME
        if not path.exists():
            with self._explained():
                write_json(path, settings)
            return
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read: {error}.") from error
        before = before if isinstance(before, dict) else {}
        for name, value in settings.items():
            if before.get(name) != value:
                raise UsageError(
                    f"The evaluation in {self.folder} was begun with "
                    f"--{name.replace('_', '-')} {_said(before.get(name))}, not "
                    f"{_said(value)}. Give the same options, or choose another --out."
                )

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Converts operating system errors to a UsageError that names the folder."""
        try:
            yield
        except OSError as error:
            raise UsageError(
                f"The folder {self.folder} cannot be written: "
                f"{error.strerror or error}. Choose another --out, on a disk with free "
                "space; the same command goes on where it stopped."
            ) from error


def _files(pair: VideoPair) -> list[dict[str, Any]]:
    """Returns the states of both files."""
    return [take_fingerprint(path, {}) for path in (pair.real, pair.generated)]


def _said(value: Any) -> str:
    """Returns a setting as text."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return "none" if value is None else str(value)
