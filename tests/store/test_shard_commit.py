"""Shards: packed, committed, read, unpacked and merged."""

import contextlib
import json
import pickle
import shutil
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lightly_marlin.data import FaceClips
from lightly_marlin.demo import demo_store
from lightly_marlin.store import FaceStore
from lightly_marlin.store.joining import merge_stores
from lightly_marlin.store.merging import merge_shards
from lightly_marlin.store.shard_commit import (
    commit_shard,
    unpack_shard,
    write_shard,
)
from lightly_marlin.store.shard_reading import read_shard_records
from lightly_marlin.store.sharding import StoreLayout, shard_of, shard_work
from lightly_marlin.utils.errors import UsageError

NUM_SHARDS = 3


@pytest.fixture(scope="module")
def loose(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loose")
    return demo_store(folder / "store", num_clips=5, num_frames=20)


def pack(store, path, num_shards=NUM_SHARDS, records=None):
    """Makes a sharded store of the videos of a loose one."""
    layout = StoreLayout.open(path, num_shards)
    records = store.records() if records is None else records
    for shard in range(num_shards):
        mine = [r for r in records if shard_of(r.source, num_shards) == shard]
        write_shard(layout, shard, [(record, store.path) for record in mine])
    return layout


@pytest.fixture(scope="module")
def packed(loose, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "store"
    pack(loose, path)
    merge_shards(path)
    return FaceStore(path)


@pytest.fixture
def copied(packed, tmp_path):
    return shutil.copytree(packed.path, tmp_path / "copied")


def files_below(folder):
    paths = [p for p in folder.rglob("*") if p.is_file() and p.name != ".lock"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def test_tracks_equal_those_of_loose_files(loose, packed):
    assert packed.column("track_id") == loose.column("track_id")
    for track, original in zip(packed, loose, strict=True):
        frames = range(0, 20, 3)
        for read in ("read_video", "read_boxes", "read_landmarks"):
            ours, theirs = (getattr(t, read)(frames) for t in (track, original))
            np.testing.assert_array_equal(ours, theirs)
        assert (track.cells.bits == original.cells.bits).all()
        assert track.row.offset > 0


def test_records_and_options_are_kept(loose, packed):
    assert packed.crop_options == loose.crop_options
    assert packed.jpeg_quality == loose.jpeg_quality
    ours = [(r.source, r.status, r.fingerprint, r.weights) for r in packed.records()]
    theirs = [(r.source, r.status, r.fingerprint, r.weights) for r in loose.records()]
    assert ours == [(*rest, list(w)) for *rest, w in theirs]
    reports = [
        json.loads((s.path / "report.json").read_text()) for s in (packed, loose)
    ]
    assert reports[0] == reports[1]


def test_a_shard_is_a_tar_of_samples(packed):
    names = []
    for path in sorted(packed.path.glob("shards/*/tracks.tar")):
        with tarfile.open(path) as tar:
            names += tar.getnames()
    keys = [name.split(".", 1)[0] for name in names]
    assert sorted(set(keys)) == sorted(packed.column("track_id"))
    ends = [name.split(".", 1)[1] for name in names[:6]]
    arrays = ["frames", "cells", "landmarks", "boxes", "angles"]
    assert ends == ["mov", *(f"{name}.npy" for name in arrays)]


def test_bytes_do_not_depend_on_order(loose, packed, tmp_path):
    layout = StoreLayout.open(tmp_path / "again", NUM_SHARDS)
    for shard in reversed(range(NUM_SHARDS)):
        records = [
            record
            for record in reversed(loose.records())
            if shard_of(record.source, NUM_SHARDS) == shard
        ]
        write_shard(layout, shard, [(record, loose.path) for record in records])
    merge_shards(tmp_path / "again")
    ours, theirs = files_below(tmp_path / "again"), files_below(packed.path)
    assert ours == theirs


@pytest.mark.parametrize("num_shards", [1, 2, 7])
def test_any_number_of_shards_gives_the_same_tracks(num_shards, loose, tmp_path):
    pack(loose, tmp_path / "store", num_shards)
    merge_shards(tmp_path / "store")
    names = pq.read_schema(loose.path / "index.parquet").names
    columns = [n for n in names if n not in ("video", "shard", "offset", "video_bytes")]
    tables = [
        pq.read_table(path / "index.parquet", columns=columns)
        for path in (tmp_path / "store", loose.path)
    ]
    assert tables[0].equals(tables[1])


def test_unpacked_and_committed_again_it_is_the_same(packed, copied, tmp_path):
    layout = StoreLayout.read(copied)
    for shard in range(NUM_SHARDS):
        unpack_shard(layout, shard, tmp_path / f"unpacked-{shard}")
        commit_shard(layout, shard, tmp_path / f"unpacked-{shard}")
    merge_shards(copied)
    assert files_below(copied) == files_below(packed.path)


def test_a_shard_without_its_index_is_unfinished(copied):
    (copied / "shards/00001/index.parquet").unlink()
    layout = StoreLayout.read(copied)
    assert read_shard_records(layout, 1) is None
    assert read_shard_records(layout, 0) is not None
    with pytest.raises(UsageError, match=r"1 of the 3 shards of .* not finished: 1\."):
        merge_shards(copied)


def test_a_store_that_is_not_merged_says_so(copied):
    (copied / "index.parquet").unlink()
    with pytest.raises(UsageError, match=r"not merged yet.*merge_store\.py STORE"):
        FaceStore(copied)


def read_all(store):
    return [(t.read_video(range(16)), t.read_cells(range(16))) for t in store]


def largest_shard(store):
    return max(
        (store / "shards").iterdir(), key=lambda p: (p / "tracks.tar").stat().st_size
    )


def test_a_tar_that_is_cut_off_is_named(copied):
    shard = largest_shard(copied)
    tar = shard / "tracks.tar"
    tar.write_bytes(tar.read_bytes()[:9000])
    with pytest.raises(
        UsageError, match=rf"{shard.name} has a tracks.tar of 9000 bytes"
    ):
        merge_shards(copied)
    store = FaceStore(copied)
    with pytest.raises(UsageError, match=rf"{shard.name}/tracks.tar"):
        read_all(store)


def test_a_tar_that_was_exchanged_is_named(copied):
    """Of the same length, with other names."""
    shard = largest_shard(copied)
    tar = shard / "tracks.tar"
    tar.write_bytes(tar.read_bytes().replace(b"demo_", b"deno_"))
    with pytest.raises(
        UsageError, match=rf"{shard.name} has a tracks.tar .* another shard"
    ):
        merge_shards(copied)
    with pytest.raises(UsageError, match=r"'deno_.*where demo_.* should be"):
        read_all(FaceStore(copied))


def test_a_shard_of_another_store_is_named(loose, packed, copied, tmp_path):
    """Videos of a store with another number of shards would be there twice."""
    pack(loose, tmp_path / "other", 2)
    other = tmp_path / "other/shards/00000"
    shutil.rmtree(copied / "shards/00000")
    shutil.copytree(other, copied / "shards/00000")
    with pytest.raises(UsageError, match=r"00000 is shard 0 of a store with 2\."):
        merge_shards(copied)


class Killed(BaseException):
    """The end of a process, which no code of ours catches."""


@pytest.mark.parametrize("number", range(12))
def test_a_merge_that_is_killed_loses_nothing(
    number, loose, packed, tmp_path, monkeypatch
):
    """Before the first rename or removal, the second, and so on."""
    records = loose.records()
    pack(loose, tmp_path / "one", NUM_SHARDS, records[:3])
    pack(loose, tmp_path / "other", NUM_SHARDS, records[3:])
    calls = iter(range(100))

    def counted(method):
        original = getattr(Path, method)

        def call(self, *arguments, **options):
            if next(calls) == number:
                raise Killed
            return original(self, *arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for method in ("replace", "rename", "unlink", "rmdir"):
            patch.setattr(Path, method, counted(method))
        with contextlib.suppress(Killed):
            merge_stores([tmp_path / "other"], tmp_path / "one")
    merge_stores([tmp_path / "other"], tmp_path / "one")
    assert files_below(tmp_path / "one") == files_below(packed.path)


def test_exchanged_shards_are_named(copied):
    one, other, spare = (copied / "shards" / name for name in ("00000", "00001", "x"))
    for old, new in ((one, spare), (other, one), (spare, other)):
        old.rename(new)
    with pytest.raises(UsageError, match=r"00000 is shard 1 of a store with 3\."):
        merge_shards(copied)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("index.parquet", "index.parquet", "not of a shard"),
        ("OTHER/videos.parquet", "videos.parquet", "of another"),
        ("LARGEST/index.parquet", "videos.parquet", "damaged"),
    ],
)
def test_exchanged_tables_are_named(source, target, message, copied):
    shard = largest_shard(copied)
    other = min(p.name for p in shard.parent.iterdir() if p != shard)
    source = source.replace("OTHER", f"shards/{other}")
    source = source.replace("LARGEST", f"shards/{shard.name}")
    shutil.copy(copied / source, shard / target)
    with pytest.raises(UsageError, match=rf"{shard.name} .*{message}"):
        merge_shards(copied)


def test_a_store_without_its_description_says_so(copied):
    (copied / "store.json").unlink()
    with pytest.raises(UsageError, match=r"has shards but no store\.json"):
        FaceStore(copied).records()
    with pytest.raises(UsageError, match=r"has shards but no store\.json"):
        merge_stores([copied], copied.parent / "new")


def test_two_changes_at_once_keep_both(loose, packed, tmp_path):
    """A merge waits for a preparation of the same shard, which it would undo."""
    records = loose.records()
    pack(loose, tmp_path / "one", 1, records[:2])
    pack(loose, tmp_path / "two", 1, records[2:4])
    pack(loose, tmp_path / "three", 1, records[4:])
    with ThreadPoolExecutor() as pool:
        merging = [
            pool.submit(merge_stores, [tmp_path / name], tmp_path / "one")
            for name in ("two", "three")
        ]
        for one in merging:
            one.result()
    merge_shards(tmp_path / "one")
    store = FaceStore(tmp_path / "one")
    assert store.column("track_id") == loose.column("track_id")


def test_a_merge_waits_for_a_preparation(loose, tmp_path):
    records = loose.records()
    layout = pack(loose, tmp_path / "one", 1, records[:2])
    with shard_work(layout.shard_folder(0)):
        arguments = ([loose.path], tmp_path / "one")
        waiting = threading.Thread(target=merge_stores, args=arguments)
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
    waiting.join()
    assert len(FaceStore(tmp_path / "one")) == len(records)


def test_unfinished_shards_are_not_taken_for_empty(loose, copied, tmp_path):
    (copied / "shards/00001/index.parquet").unlink()
    for paths, out in (
        ([copied], tmp_path / "new"),
        ([loose.path], copied),
    ):
        with pytest.raises(UsageError, match=r"not finished: 1\."):
            merge_stores(paths, out)
    assert not (tmp_path / "new").exists()


def test_damaged_leftovers_are_unpacked_again(packed, copied, tmp_path):
    """A process was killed while it removed what it had unpacked."""
    layout = StoreLayout.read(copied)
    folder = tmp_path / "unpacked"
    shard = int(largest_shard(copied).name)
    unpack_shard(layout, shard, folder)
    next(folder.rglob("*.mov")).unlink()
    with pytest.raises(UsageError, match="is damaged or not whole"):
        commit_shard(layout, shard, folder)
    unpack_shard(layout, shard, folder)
    commit_shard(layout, shard, folder)
    merge_shards(copied)
    assert files_below(copied) == files_below(packed.path)


def test_stores_at_urls_are_not_joined(packed):
    with pytest.raises(UsageError, match=r"memory://a/b is a URL"):
        merge_stores([packed.path], "memory://a/b")


def test_a_failed_attempt_gives_way(loose, packed, tmp_path):
    """One store could not reach a video that the other has."""
    records = loose.records()
    failed = replace(
        records[0], status="failed", reason="gone", rows=(), retry=True, num_frames=0
    )
    pack(loose, tmp_path / "one", NUM_SHARDS, [failed, *records[1:]])
    merge_stores([packed.path], tmp_path / "one")
    assert len(FaceStore(tmp_path / "one")) == len(loose)
    pack(loose, tmp_path / "other", NUM_SHARDS, [failed, *records[1:]])
    merge_stores([packed.path, tmp_path / "other"], tmp_path / "out")
    assert len(FaceStore(tmp_path / "out")) == len(loose)


def test_a_remote_shard_is_what_it_was_until_its_index_is_new(loose, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    url = "memory://rewritten/store"
    records = loose.records()
    layout = pack(loose, url, 1, records[:2])
    merge_shards(url)
    before = FaceStore(url, cache=tmp_path)
    write_shard(layout, 0, [(record, loose.path) for record in records])
    names = {p.rpartition("/")[2] for p in fsspec.filesystem("memory").store}
    assert len([name for name in names if name.endswith(".tar")]) == 2
    # Not fetched yet, and still what its index says.
    assert [t.read_video([0]).shape[1] for t in before] == [1, 1]
    merge_shards(url)
    after = FaceStore(url, cache=tmp_path)
    assert after.column("track_id") == loose.column("track_id")
    assert (after[4].frames == loose[4].frames).all()
    fsspec.filesystem("memory").store.clear()


def test_other_number_of_shards(packed):
    with pytest.raises(UsageError, match=r"has 3 shards, not 4\. Their number cannot"):
        StoreLayout.open(packed.path, 4)
    with pytest.raises(UsageError, match=r"There is no shard 3: .* from 0 to 2"):
        StoreLayout.read(packed.path).check_shard(3)


def test_clips_of_a_sharded_store(loose, packed):
    ours, theirs = FaceClips(packed, stride=1), FaceClips(loose, stride=1)
    for index in range(len(theirs)):
        one, other = ours[index, 3], theirs[index, 3]
        assert one["start"] == other["start"]
        assert (one["video"] == other["video"]).all()


def test_stores_of_half_the_videos_are_joined(loose, packed, tmp_path):
    records = loose.records()
    for name, part in (("one", records[:3]), ("other", records[2:])):
        pack(loose, tmp_path / name, NUM_SHARDS, part)
    merge_stores([tmp_path / "one", tmp_path / "other"], tmp_path / "one")
    assert files_below(tmp_path / "one") == files_below(packed.path)
    merge_stores([tmp_path / "other", loose.path], tmp_path / "both")
    assert files_below(tmp_path / "both") == files_below(packed.path)


def test_shards_are_joined_to_loose_files(loose, packed, tmp_path):
    merge_stores([packed.path], tmp_path / "joined")
    assert (tmp_path / "joined/store.json").exists()
    demo = shutil.copytree(loose.path, tmp_path / "loose")
    victim = loose.records()[1]
    shutil.rmtree((demo / loose[1].row.video).parent)
    merge_stores([packed.path], demo)
    assert victim.source in {record.source for record in FaceStore(demo).records()}
    ours, theirs = files_below(demo), files_below(loose.path)
    assert ours.keys() == theirs.keys()
    assert all(ours[n] == theirs[n] for n in ours if not n.endswith("video.json"))


def test_equal_names_with_other_content_are_refused(loose, packed, tmp_path):
    other = demo_store(tmp_path / "other", num_clips=5, num_frames=22)
    with pytest.raises(UsageError, match=r"5 videos are in two of the stores.*demo_0"):
        merge_stores([packed.path, other.path], tmp_path / "out")


def test_a_store_is_pickled_as_its_path(packed, copied):
    assert len(pickle.dumps(packed)) < 1000
    again = pickle.loads(pickle.dumps(packed))
    assert again.column("track_id") == packed.column("track_id")
    store = FaceStore(copied)
    pickled = pickle.dumps(store)
    table = pq.read_table(copied / "index.parquet")
    pq.write_table(table.slice(1), copied / "index.parquet")
    assert len(FaceStore(copied)) == len(store) - 1
    with pytest.raises(UsageError, match="changed while it was read"):
        pickle.loads(pickled)
