"""Cost of a store of a million tracks, and of reading clips from tars.

    python recipes/benchmarks/store_scale.py
    python recipes/benchmarks/store_scale.py --rows 100000

Index: a synthetic one with a row for every video. Opening, splitting and choosing
clips are timed, each in a process of its own, with the memory that the process grew by,
and what stores and data sets weigh pickled, as for a loader's worker. Beside them,
reading the same table from Parquet, which every process would do without the memory
map. The first sample of a worker that is not forked has the rows of real tracks.

Clips: the demo clips as loose files and in tars, in turns; clips must be equal before
anything is timed. Of both, what it costs a preparation to find out what is done.

Writes results/store_scale-<machine>.json and prints a table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from environment import describe_machine, machine_name
from rich.table import Table
from torch.utils.data import DataLoader

from lightly_marlin.data import FaceClips
from lightly_marlin.demo import demo_store
from lightly_marlin.store import FaceStore, split_tracks
from lightly_marlin.store.format import index_schema, video_id
from lightly_marlin.store.index_file import write_index
from lightly_marlin.store.joining import merge_stores
from lightly_marlin.store.merging import merge_shards
from lightly_marlin.store.shard_commit import write_shard
from lightly_marlin.store.shard_reading import all_records
from lightly_marlin.store.sharding import StoreLayout, shard_of
from lightly_marlin.store.writer import StoreWriter
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
NUM_SHARDS = 4
ROUNDS = 9
NUM_VIDEOS = 500


def synthetic_index(folder: Path, num_rows: int) -> Path:
    """Writes the index of a store with a track in each of many videos."""
    rng = np.random.default_rng(0)
    numbers = range(num_rows)
    ids = [f"video_{k:07d}_{k * 7919 % 2**32:012x}" for k in numbers]
    text = {
        "track_id": [f"{name}_000" for name in ids],
        "person_id": [f"{name}_p00" for name in ids],
        "source": [f"part_{k // 1000:03d}/video_{k:07d}.mp4" for k in numbers],
        "video": [f"shards/{k % 1000:05d}/tracks.tar" for k in numbers],
    }
    columns = {}
    for field in index_schema():
        values: Any = text.get(field.name)
        if values is None and pa.types.is_integer(field.type):
            values = rng.integers(16, 500, num_rows)
        elif values is None:
            values = rng.random(num_rows)
        columns[field.name] = pa.array(values).cast(field.type)
    folder.mkdir()
    write_index(pa.table(columns, schema=index_schema()), folder)
    return folder


def packed(store: FaceStore, path: Path) -> FaceStore:
    """Returns a copy of a store in shards."""
    layout = StoreLayout.open(path, NUM_SHARDS)
    for shard in range(NUM_SHARDS):
        records = [
            record
            for record in store.records()
            if shard_of(record.source, NUM_SHARDS) == shard
        ]
        write_shard(layout, shard, [(record, store.path) for record in records])
    merge_shards(path)
    return FaceStore(path)


def repeated_index(store: FaceStore, num_rows: int) -> None:
    """Gives a store the rows of its tracks again and again."""
    table = pq.read_table(store.path / "index.parquet")
    places = np.arange(num_rows) % table.num_rows
    write_index(table.take(places), store.path)


def resident_mib() -> float:
    """Returns the memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def _measured(work: Callable[[Path], Any], path: Path, answer: Any) -> None:
    FaceStore(path.parent / "warm")
    before, started = resident_mib(), time.perf_counter()
    result = work(path)
    seconds = time.perf_counter() - started
    weight = len(pickle.dumps(result)) if isinstance(result, Weighed) else None
    answer.send(
        {"seconds": seconds, "mib": resident_mib() - before, "pickled_bytes": weight}
    )


class Weighed:
    """Something whose pickled size is measured, too."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> Any:
        return (Weighed, (self.value,))


def open_store(path: Path) -> Weighed:
    """Opens the store."""
    return Weighed(FaceStore(path))


def open_parquet(path: Path) -> Any:
    """Reads the Parquet file that the map is a copy of."""
    return pq.read_table(path / "index.parquet")


def split(path: Path) -> Any:
    """Opens the store and splits it."""
    return split_tracks(FaceStore(path), 0.1)


def all_clips(path: Path) -> Weighed:
    """Makes a data set of all tracks."""
    return Weighed(FaceClips(path))


def training_clips(path: Path) -> Weighed:
    """Makes a data set of the tracks that are not held out."""
    return Weighed(FaceClips(path, tracks=split_tracks(FaceStore(path), 0.1)[0]))


def measure(work: Callable[[Path], Any], path: Path, rounds: int = 3) -> dict[str, Any]:
    """Returns medians over processes of their own."""
    context = multiprocessing.get_context("spawn")
    found = []
    for _ in range(rounds):
        ours, theirs = context.Pipe()
        process = context.Process(target=_measured, args=(work, path, theirs))
        process.start()
        found.append(ours.recv())
        process.join()
    return {
        name: None
        if found[0][name] is None
        else round(statistics.median(one[name] for one in found), 4)
        for name in found[0]
    }


def first_sample(store: FaceStore, method: str) -> float:
    """Returns the seconds to the first batch of a new worker process."""
    clips = FaceClips(store)
    started = time.perf_counter()
    loader: DataLoader[Any] = DataLoader(
        clips, batch_size=1, num_workers=1, multiprocessing_context=method
    )
    next(iter(loader))
    return round(time.perf_counter() - started, 3)


def clips_per_second(clips: FaceClips, draw: int) -> float:
    """Returns how many clips a second one process reads."""
    started = time.perf_counter()
    for index in range(len(clips)):
        clips[index, draw]
    return len(clips) / (time.perf_counter() - started)


def compare_reading(loose: FaceStore, tars: FaceStore) -> dict[str, Any]:
    """Times reading from loose files and from tars, in turns."""
    sets = {"loose": FaceClips(loose), "tar": FaceClips(tars)}
    for index in range(len(loose)):
        one, other = (clips[index, 0]["video"] for clips in sets.values())
        if not (one == other).all():
            raise RuntimeError(f"Clips {index} differ between loose files and tars.")
    rates: dict[str, list[float]] = {name: [] for name in sets}
    for draw in range(ROUNDS):
        for name, clips in sets.items():
            rates[name].append(clips_per_second(clips, draw))
    ratios = [t / one for t, one in zip(rates["tar"], rates["loose"], strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        **{name: round(statistics.median(found), 1) for name, found in rates.items()},
        "ratio": round(statistics.median(ratios), 3),
        "ratio_quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
    }


def repeated_video(store: FaceStore, work: Path) -> tuple[Path, StoreLayout]:
    """Returns a store of loose files and one of a shard, with one video many times."""
    record = min(store.records(), key=lambda one: one.rows[0].num_frames)
    videos = []
    for number in range(NUM_VIDEOS):
        source = f"video_{number:06d}.mp4"
        row = replace(record.rows[0], source=source, track_id=f"{video_id(source)}_000")
        videos.append((replace(record, source=source, rows=(row,)), store.path))
    layout = StoreLayout.open(work / "many-shards", 1)
    write_shard(layout, 0, videos)
    (work / "many-loose" / "tracks").mkdir(parents=True)
    merge_stores([layout.path], work / "many-loose")
    return work / "many-loose", layout


def resuming(store: FaceStore, work: Path) -> dict[str, float]:
    """Returns what finding out what is done costs, in microseconds a video."""
    loose, layout = repeated_video(store, work)

    def with_files() -> int:
        with StoreWriter(loose) as writer:
            return len(writer.records)

    ways: dict[str, Callable[[], int]] = {
        "loose": with_files,
        "shards": lambda: len(all_records(layout)),
    }
    found = {}
    for name, way in ways.items():
        seconds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            count = way()
            seconds.append(time.perf_counter() - started)
            if count != NUM_VIDEOS:
                raise RuntimeError(f"{count} of {NUM_VIDEOS} videos were found.")
        found[name] = round(1e6 * statistics.median(seconds) / NUM_VIDEOS, 1)
    return found


def main() -> int:
    """Measures, writes the result and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--demo-clips", type=int, default=24)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="store-scale-") as name:
        work = Path(name)
        synthetic_index(work / "warm", 1)
        index = synthetic_index(work / "index", options.rows)
        sizes = {file.name: file.stat().st_size for file in index.iterdir()}
        steps: dict[str, Callable[[Path], Any]] = {
            "open": open_store,
            "open Parquet instead": open_parquet,
            "split": split,
            "clips of all": all_clips,
            "clips of the training part": training_clips,
        }
        measured = {what: measure(step, index) for what, step in steps.items()}
        loose = demo_store(work / "loose", num_clips=options.demo_clips)
        tars = packed(loose, work / "tars")
        reading = compare_reading(loose, tars)
        resumed = resuming(loose, work)
        repeated_index(tars, options.rows)
        again = FaceStore(tars.path)
        workers = {name: first_sample(again, name) for name in ("forkserver", "spawn")}
    result = {
        "machine": describe_machine(),
        "rows": options.rows,
        "bytes": sizes,
        "index": measured,
        "first_sample_seconds": workers,
        "clips_per_second": reading,
        "resuming_microseconds_a_video": resumed,
    }
    options.results.mkdir(exist_ok=True)
    write_json(options.results / f"store_scale-{machine_name()}.json", result)
    show(result)
    return 0


def show(result: dict[str, Any]) -> None:
    """Prints the result."""
    table = Table(title=f"A store of {result['rows']} tracks")
    for name in ("what", "seconds", "MiB more", "pickled bytes"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for what, found in result["index"].items():
        weight = found["pickled_bytes"]
        numbers = (f"{found['seconds']:.3f}", f"{found['mib']:.1f}")
        table.add_row(what, *numbers, "" if weight is None else str(weight))
    for method, seconds in result["first_sample_seconds"].items():
        table.add_row(f"first sample, {method}", f"{seconds:.3f}", "", "")
    console.print(table)
    for name in ("clips_per_second", "resuming_microseconds_a_video"):
        console.print(f"{name}: {json.dumps(result[name])}")


if __name__ == "__main__":
    raise SystemExit(run_recipe(main, "demo"))
