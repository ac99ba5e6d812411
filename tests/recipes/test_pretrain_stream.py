"""Pretraining from a LitData export and from a store at a URL."""

import csv
import shutil
import uuid

import pytest

from lightly_marlin.demo import demo_store
from lightly_marlin.store import FaceStore
from lightly_marlin.store.export import export_store
from lightly_marlin.store.merging import merge_shards
from lightly_marlin.store.shard_commit import write_shard
from lightly_marlin.store.sharding import StoreLayout, shard_of
from lightly_marlin.utils.console import run_recipe

pytest.importorskip("litdata")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream")
    return demo_store(folder / "store", num_clips=6, num_frames=20)


@pytest.fixture(scope="module")
def chunks(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("chunks") / "out"
    export_store(store, out, "litdata", max_bytes=300_000)
    return out


@pytest.fixture
def bucket(store):
    """URL of the store in shards, on a file system in memory."""
    fsspec = pytest.importorskip("fsspec")
    url = f"memory://{uuid.uuid4().hex}/store"
    layout = StoreLayout.open(url, 2)
    for shard in range(2):
        records = [r for r in store.records() if shard_of(r.source, 2) == shard]
        write_shard(layout, shard, [(record, store.path) for record in records])
    merge_shards(url)
    yield url
    fsspec.filesystem("memory").store.clear()


def pretrain(load_recipe, out, *arguments):
    small = ["--model", "marlin_vit_tiny", "--batch-size", "2", "--image-size", "32"]
    quiet = ["--logger", "none", "--workers", "0", "--log-every", "1"]
    line = ["--out", out, *small, *quiet, *arguments]
    main = load_recipe("pretrain_marlin").main
    return run_recipe(lambda: main([str(x) for x in line]))


def losses(folder):
    with (folder / "metrics.csv").open() as file:
        return [row["loss/reconstruction"] for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(load_recipe, chunks, tmp_path_factory):
    """Losses of ten steps, that is, of more than three epochs."""
    folder = tmp_path_factory.mktemp("whole")
    stream = ("--store", chunks, "--stream", "--max-steps", 10)
    assert pretrain(load_recipe, folder, *stream) == 0
    assert len(losses(folder)) == 10
    return losses(folder)


@pytest.mark.parametrize("stops", [[5], [6], [1, 2, 8]])
def test_a_stream_is_resumed(stops, load_recipe, chunks, whole, tmp_path, capsys):
    """Within an epoch of three steps, at its end, and again and again."""
    for steps in (*stops, 10):
        stream = ("--store", chunks, "--stream", "--max-steps", steps, "--resume")
        assert pretrain(load_recipe, tmp_path, *stream) == 0
    assert losses(tmp_path) == whole
    assert "A stream holds no track out" in capsys.readouterr().out


def test_a_remote_store_trains_as_a_local_one(load_recipe, store, bucket, tmp_path):
    """The same clips, masks and held-out tracks, whatever was fetched when."""
    steps = ("--max-steps", 2)
    cache = ("--cache", tmp_path / "cache")
    remote = ("--store", bucket, "--stream", *cache, *steps)
    assert pretrain(load_recipe, tmp_path / "remote", *remote) == 0
    local = ("--store", store.path, *steps)
    assert pretrain(load_recipe, tmp_path / "local", *local) == 0
    assert losses(tmp_path / "remote") == losses(tmp_path / "local")
    fetched = list((tmp_path / "cache").rglob("tracks.tar"))
    assert len(fetched) == 2
    # With all of it in the cache, only the state of the index is asked for.
    opened = FaceStore(bucket, cache=tmp_path / "cache")
    assert (opened.url, len(opened)) == (bucket, 6)
    assert (opened[0].read_video([0]) == store[0].read_video([0])).all()


def test_an_index_that_changed_is_fetched_anew(store, bucket, tmp_path):
    before = FaceStore(bucket, cache=tmp_path / "cache")
    assert before[5].frames.any()
    layout = StoreLayout.read(bucket)
    gone = before[5].source
    shard = shard_of(gone, 2)
    kept = [r for r in store.records() if shard_of(r.source, 2) == shard]
    kept = [record for record in kept if record.source != gone]
    write_shard(layout, shard, [(record, store.path) for record in kept])
    merge_shards(bucket)
    after = FaceStore(bucket, cache=tmp_path / "cache")
    assert len(after) == 5
    assert after.path != before.path
    assert before[5].frames.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stream"], "--stream needs --store"),
        (["--store", "memory://no/store"], "is remote: --stream fetches it"),
        (["--store", "memory://no/store", "--stream"], "has no index.parquet"),
        (["--store", "CHUNKS", "--stream", "--min-face", "9"], "--min-face chooses"),
        (["--store", "CHUNKS", "--stream", "--meters-every", "1"], "not of a stream"),
        (
            ["--store", "CHUNKS", "--stream", "--objectives", "contrast=1"],
            "needs two clips of a track",
        ),
    ],
)
def test_what_cannot_be_streamed(
    arguments, message, load_recipe, chunks, tmp_path, capsys
):
    line = [chunks if argument == "CHUNKS" else argument for argument in arguments]
    assert pretrain(load_recipe, tmp_path / "run", *line, "--max-steps", 1) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_shard_that_was_lost_is_named(bucket, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    store = FaceStore(bucket, cache=tmp_path / "cache")
    shard = store._table.column("shard")[0].as_py()
    place = bucket.removeprefix("memory:/")
    fsspec.filesystem("memory").rm_file(f"{place}/shards/{shard:05d}/tracks.tar")
    with pytest.raises(ValueError, match=rf"has lost shards/{shard:05d}/tracks\.tar"):
        store[0]
    shutil.rmtree(tmp_path / "cache")
