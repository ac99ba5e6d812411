"""Export of a store for streaming engines: WebDataset tars, LitData chunks.

A sample is a track: its row of the index and its files as they are in the store, crops
as JPEG pictures in a video among them. Nothing is decoded or encoded again.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

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
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.utils.remote import RemoteFolder, is_url

__all__ = ["ROW_KEY", "ExportFormat", "export_store", "is_litdata"]

ExportFormat = Literal["litdata", "webdataset"]

ROW_KEY = "row"
"""Key of a LitData sample's row, JSON text; the other keys are those of the files."""


def export_store(
    store: FaceStore | Path | str,
    out: Path | str,
    file_format: ExportFormat,
    *,
    max_bytes: int = 2**28,
    num_workers: int = 1,
) -> int:
    """Writes all tracks of a store as samples of a streaming engine.

    Killed and run again, it goes on: whole WebDataset tars are kept, an unfinished
    LitData export is begun anew.

    Args:
        store: A face store or its folder.
        out: Folder to write to; new, empty, or that of an earlier call.
        file_format: "webdataset" or "litdata".
        max_bytes: About the size of a tar or a chunk.
        num_workers: Processes that write LitData chunks.

    Returns:
        Number of tars or chunks.

    Raises:
        UsageError: If the store cannot be read, or `out` holds something else or cannot
            be written.
        MissingExtraError: If LitData is asked for and not installed.
    """
    store = store if isinstance(store, FaceStore) else FaceStore(store)
    out = Path(out).absolute()
    if file_format not in get_args(ExportFormat):
        raise UsageError(
            f"Invalid format {file_format!r}. Supported values are "
            f"{', '.join(get_args(ExportFormat))}."
        )
    if len(store) == 0:
        raise UsageError(f"The store {store.path} has no track to export.")
    store.fetch(store.rows())
    own = ("shard-*.tar",) if file_format == "webdataset" else ("*.bin", "index.json")
    try:
        out.mkdir(parents=True, exist_ok=True)
        found = {path for path in out.iterdir() if not path.name.startswith(".")}
        if foreign := found - {path for name in own for path in out.glob(name)}:
            raise UsageError(
                f"{out} holds {min(foreign).name}, which is not of an export. Name "
                "another folder."
            )
        if file_format == "webdataset":
            return _write_tars(store, out, max_bytes)
        return _write_chunks(store, out, max_bytes, num_workers)
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


def _write_tars(store: FaceStore, out: Path, max_bytes: int) -> int:
    parts = list(_parts(store, max_bytes))
    with progress() as bar:
        task = bar.add_task("tracks", total=len(store), unit="tracks")
        for number, (rows, size) in enumerate(parts):
            path = out / f"shard-{number:06d}.tar"
            if not (path.exists() and path.stat().st_size == size):
                with atomic_write(path) as temporary, TarWriter(temporary) as writer:
                    for row in rows:
                        _add_sample(writer, row, store.path)
                        bar.advance(task)
            else:
                bar.advance(task, len(rows))
    return len(parts)


def _parts(store: FaceStore, max_bytes: int) -> Iterator[tuple[list[TrackRow], int]]:
    """Yields the tracks of each tar and its size in bytes."""
    rows: list[TrackRow] = []
    size = 0
    for row in store.rows():
        sizes = [len(_row_json(row)), *_file_sizes(row, store.path)]
        more = sum(TAR_BLOCK + filled(n) for n in sizes)
        if rows and size + more > max_bytes:
            yield rows, _with_end(size)
            rows, size = [], 0
        rows.append(row)
        size += more
    yield rows, _with_end(size)


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


def _write_chunks(store: FaceStore, out: Path, max_bytes: int, num_workers: int) -> int:
    litdata = require("litdata", "Exporting to LitData")
    if (out / "index.json").exists():
        raise UsageError(
            f"{out} holds a finished export already. Name another folder, or remove it."
        )
    for leftover in out.glob("*.bin"):
        leftover.unlink()
    # Written to a folder beside it, and moved.
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        litdata.optimize(
            fn=functools.partial(_sample, store),
            inputs=list(range(len(store))),
            output_dir=name,
            chunk_bytes=max_bytes,
            num_workers=min(num_workers, len(store)),
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
