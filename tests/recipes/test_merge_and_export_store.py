"""Command lines that merge shards and export stores."""

import shutil

import pytest

from lightly_marlin.demo import demo_store
from lightly_marlin.store.shard_commit import write_shard
from lightly_marlin.store.sharding import StoreLayout, shard_of
from lightly_marlin.utils.console import run_recipe


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return demo_store(folder / "store", num_clips=3, num_frames=18)


@pytest.fixture
def run(load_recipe):
    def call(name, *arguments):
        main = load_recipe(name).main
        return run_recipe(lambda: main([str(x) for x in arguments]))

    return call


@pytest.fixture
def shards(store, tmp_path):
    layout = StoreLayout.open(tmp_path / "shards", 2)
    for shard in range(2):
        records = [r for r in store.records() if shard_of(r.source, 2) == shard]
        write_shard(layout, shard, [(record, store.path) for record in records])
    return tmp_path / "shards"


def test_merges_shards(run, shards, capsys):
    assert run("merge_store", shards) == 0
    assert capsys.readouterr().out.startswith("3 tracks of 3 videos in ")
    assert (shards / "index.arrow").exists()


def test_adds_other_stores(run, store, shards, tmp_path, capsys):
    assert run("merge_store", tmp_path / "all", shards, store.path) == 0
    assert "3 tracks of 3 videos" in capsys.readouterr().out


def test_missing_shards_are_named(run, shards, capsys):
    shutil.rmtree(shards / "shards" / "00001")
    assert run("merge_store", shards) == 2
    error = capsys.readouterr().err
    assert "1 of the 2 shards of" in error
    assert "not finished: 1. Prepare them" in error
    assert error.count("\n") == 1


def test_what_is_no_sharded_store(run, store, tmp_path, capsys):
    assert run("merge_store", store.path) == 2
    assert run("merge_store", tmp_path / "no", tmp_path / "other") == 2
    errors = capsys.readouterr().err.splitlines()
    assert "is no sharded store. Make one with:" in errors[0]
    assert "is no face store" in errors[1]


@pytest.mark.parametrize("name", ["webdataset", "litdata"])
def test_exports(name, run, store, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("export_store", store.path, out, "--format", name) == 0
    parts = "1 tars in" if name == "webdataset" else "1 chunks in"
    assert parts in capsys.readouterr().out
    assert len(list(out.glob("[!.]*"))) == (1 if name == "webdataset" else 2)


def test_bad_export_options(run, store, tmp_path, capsys):
    assert run("export_store", store.path, tmp_path / "out", "--format", "zip") == 2
    assert run("export_store", tmp_path / "no", tmp_path / "o", "--format", "litdata")
    errors = capsys.readouterr().err.splitlines()
    assert "invalid choice: 'zip'" in errors[0]
    assert "there is no such folder" in errors[1]
