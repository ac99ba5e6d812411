"""Export of a store for streaming engines: WebDataset tars, LitData chunks.

A sample is a track: its row of the index and its files as they are in the store, crops
as JPEG pictures in a video among them. Nothing is decoded or encoded again.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import TrackRow, video_id
from lightly_marlin.store.tar_members import TAR_BLOCK, TarWriter, filled
from lightly_marlin.store.track_files import (
    as_loose,
    file_bytes,
    member_of,
    track_places,
)
from lightly_marlin.utils.console import progress
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, remove_leftovers, write_json
from lightly_marlin.utils.remote import RemoteFolder, is_url

__all__ = ["ROW_KEY", "ExportFormat", "export_store", "is_litdata"]

ExportFormat = Literal["litdata", "webdataset"]

_NOTE_NAME = ".export.json"

ROW_KEY = "row"
"""Key of a LitData sample's row, JSON text; the other keys are those of the files."""


def export_store(
    store: FaceStore | Path | str,
    out: Path | str,
    file_format: ExportFormat,
    *,
    tracks: Collection[str] | None = None,
    max_bytes: int = 2**28,
    num_workers: int = 1,
) -> int:
    """Writes the tracks of a store as samples of a streaming engine.

    Killed and run again, it goes on: whole WebDataset tars are kept, an unfinished
    LitData export is begun anew.

    Args:
        store: A face store or its folder.
        out: Folder to write to; new, empty, or that of an earlier call.
        file_format: "webdataset" or "litdata". LitData starts processes, so a program
            that exports to it needs `if __name__ == "__main__":`.
        tracks: Names of the tracks to export (see `TrackFilter`); None for all.
        max_bytes: About the size of a tar or a chunk.
        num_workers: Processes that write LitData chunks.

    Returns:
        Number of tars or chunks.

    Raises:
        UsageError: If the store cannot be read or has no such track, or `out` is a URL,
            holds something else or cannot be written.
        MissingExtraError: If LitData is asked for and not installed.
    """
    store = store if isinstance(store, FaceStore) else FaceStore(store)
    if is_url(out):
        raise UsageError(
            f"{out} is a URL. Export to a folder, and copy it there with its own tool."
        )
    out = Path(out).absolute()
    if file_format not in get_args(ExportFormat):
        raise UsageError(
            f"Invalid format {file_format!r}. Supported values are "
            f"{', '.join(get_args(ExportFormat))}."
        )
    try:
        indices = store.index_array(tracks)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if len(indices) == 0:
        raise UsageError(f"The store {store.path} has no track to export.")
    rows = [store[int(index)].row for index in indices]
    try:
        out.mkdir(parents=True, exist_ok=True)
        _check_note(out, _note(store, rows, file_format, max_bytes))
        if file_format == "webdataset":
            return _write_tars(store.path, rows, out, max_bytes)
        return _write_chunks(store, indices, out, max_bytes, num_workers)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror or error}. The same command "
            "then goes on where it stopped."
        ) from error


def is_litdata(path: Path | str) -> bool:
    """Returns whether a folder or URL is a LitData data set.

    Args:
        path: Folder or URL.
    """
    if is_url(path):
        content = RemoteFolder(str(path)).read("index.json")
    else:
        file = Path(path) / "index.json"
        content = file.read_bytes() if file.is_file() else None
    try:
        return content is not None and "chunks" in json.loads(content)
    except ValueError:
        return False


def _note(
    store: FaceStore, rows: Sequence[TrackRow], file_format: str, max_bytes: int
) -> dict[str, Any]:
    """Returns what an export is of; another one may not be written into it."""
    digest = hashlib.blake2b(digest_size=16)
    for row in rows:
        digest.update(_row_json(row))
    return {
        "store": str(store.url or store.path),
        "format": file_format,
        "max_bytes": max_bytes,
        "tracks": digest.hexdigest(),
    }


def _check_note(out: Path, note: dict[str, Any]) -> None:
    """Writes what an export is of into its folder, or compares it.

    Raises:
        UsageError: If the folder holds something else.
    """
    file = out / _NOTE_NAME
    if file.exists():
        if json.loads(file.read_text(encoding="utf-8")) != note:
            raise UsageError(
                f"{out} holds an export of other tracks, or with other options. Name "
                "another folder."
            )
        return
    if foreign := sorted(path.name for path in out.iterdir()):
        raise UsageError(
            f"{out} holds {foreign[0]}, which is not of an export. Name another folder."
        )
    write_json(file, note)


def _write_tars(
    store: Path, rows: Sequence[TrackRow], out: Path, max_bytes: int
) -> int:
    parts = list(_parts(store, rows, max_bytes))
    with progress() as bar:
        task = bar.add_task("tracks", total=len(rows), unit="tracks")
        for number, (part, size) in enumerate(parts):
            path = out / f"shard-{number:06d}.tar"
            remove_leftovers(path)
            if not (path.exists() and path.stat().st_size == size):
                with atomic_write(path) as temporary, TarWriter(temporary) as writer:
                    for row in part:
                        _add_sample(writer, row, store)
            bar.advance(task, len(part))
    return len(parts)


def _parts(
    store: Path, rows: Sequence[TrackRow], max_bytes: int
) -> Iterator[tuple[list[TrackRow], int]]:
    """Yields the tracks of each tar and its size in bytes."""
    part: list[TrackRow] = []
    size = 0
    for row in rows:
        sizes = [len(_row_json(row)), *_file_sizes(row, store)]
        more = sum(TAR_BLOCK + filled(n) for n in sizes)
        if part and size + more > max_bytes:
            yield part, _with_end(size)
            part, size = [], 0
        part.append(row)
        size += more
    yield part, _with_end(size)


def _file_sizes(row: TrackRow, store: Path) -> list[int]:
    return [
        place.path.stat().st_size if place.size is None else place.size
        for _, place in track_places(row, store)
    ]


def _with_end(size: int) -> int:
    """Returns the size of a tar with its end: two empty blocks, to full records."""
    record = 20 * TAR_BLOCK
    return -(-(size + 2 * TAR_BLOCK) // record) * record


def _add_sample(writer: TarWriter, row: TrackRow, store: Path) -> None:
    text = _row_json(row)
    writer.add(f"{row.track_id}.json", io.BytesIO(text), len(text))
    for name, place in track_places(row, store):
        content = file_bytes(place)
        writer.add(member_of(row, name), io.BytesIO(content), len(content))


def _row_json(row: TrackRow) -> bytes:
    """Returns a row without its place in the store."""
    loose = as_loose(row, video_id(row.source))
    return json.dumps(dataclasses.asdict(loose), ensure_ascii=False).encode()


def _write_chunks(
    store: FaceStore,
    indices: npt.NDArray[np.int64],
    out: Path,
    max_bytes: int,
    num_workers: int,
) -> int:
    litdata = require("litdata", "Exporting to LitData")
    if (out / "index.json").exists():
        raise UsageError(
            f"{out} holds a finished export already. Name another folder, or remove it."
        )
    for leftover in out.glob("chunk-*.bin"):
        leftover.unlink()
    for folder in out.parent.glob(f".{glob.escape(out.name)}-*"):
        shutil.rmtree(folder, ignore_errors=True)
    # Written to a folder beside it, and moved.
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        litdata.optimize(
            fn=functools.partial(_sample, store),
            inputs=indices.tolist(),
            output_dir=name,
            chunk_bytes=max_bytes,
            num_workers=min(num_workers, len(indices)),
            keep_data_ordered=True,
            verbose=False,
        )
        chunks = sorted(Path(name).glob("*.bin"))
        for chunk in chunks:
            chunk.replace(out / chunk.name)
        (Path(name) / "index.json").replace(out / "index.json")
    return len(chunks)


def _sample(store: FaceStore, index: int) -> dict[str, Any]:
    """Returns the LitData sample of a track: its row and the bytes of its files."""
    row = store[index].row
    files = {name: file_bytes(place) for name, place in track_places(row, store.path)}
    return {ROW_KEY: _row_json(row).decode(), **files}
