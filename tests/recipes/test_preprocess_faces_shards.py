"""The recipe on a cluster: shards, Slurm arrays, object stores, Ray."""

import os
import re
import runpy
import subprocess
from pathlib import Path

import pytest

from lightly_marlin.preparation import ShardsFailedError
from lightly_marlin.store import FaceStore
from lightly_marlin.store.merging import merge_shards
from lightly_marlin.store.sharding import StoreLayout
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.utils.errors import UsageError

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "preprocess_faces.py"
BATCH = ROOT / "recipes" / "slurm" / "prepare_array.sbatch"
HOG = ("--detector", "hog", "--workers", "1")


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch):
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)


def run_here(*arguments):
    """Runs the recipe in this process; saves the seconds that imports take."""
    main = runpy.run_path(str(RECIPE))["main"]
    return run_recipe(lambda: main([str(argument) for argument in arguments]))


def contents(store):
    """Bytes of every file of a store by its relative path."""
    paths = [path for path in store.rglob("*") if path.is_file()]
    return {str(path.relative_to(store)): path.read_bytes() for path in paths}


@pytest.fixture(scope="session")
def whole(demo_videos, tmp_path_factory):
    """A store of two shards that one process made."""
    store = tmp_path_factory.mktemp("whole") / "store"
    assert run_here(demo_videos, store, "--shards", 2, *HOG) == 0
    return store


def test_slurm_array(demo_videos, whole, tmp_path, monkeypatch, warm_python, kill_when):
    """Two tasks at once; one is killed and run again, as Slurm does.

    The other one runs the batch script, whose lines for Slurm are comments.
    """
    store = tmp_path / "store"
    command = [RECIPE, demo_videos, store, *HOG]
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    monkeypatch.setenv("PATH", str(Path(warm_python).parent), prepend=os.pathsep)
    other = subprocess.Popen(
        ["bash", str(BATCH), str(demo_videos), str(store), *HOG[:2]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    unfinished = store / "shards" / "00000" / ".unfinished" / "tracks"
    kill_when(command, lambda: list(unfinished.glob("[!.]*/video.json")))
    kept = list(unfinished.glob("[!.]*/video.json"))
    output = other.communicate(timeout=120)[0]
    assert "A store of 2 shards, one for each task of the Slurm array" in output
    assert "Shard 1 is finished. When all are, run: python recipes/merge" in output
    with pytest.raises(UsageError, match=r"1 of the 2 shards .* are not finished: 0"):
        merge_shards(store)
    again = subprocess.run(
        [str(part) for part in (warm_python, *command)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(rf"finished before │ +{len(kept)} │", again.stdout)
    merge_shards(store)
    assert contents(store) == contents(whole)
    assert len(FaceStore(store)) == 6


def test_slurm_variables_of_other_work(demo_videos, whole, monkeypatch, capsys):
    """Only new stores take their number of shards from an array."""
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "5")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "6")
    assert run_here(demo_videos, whole, *HOG) == 2
    assert "There is no shard 5: the store" in capsys.readouterr().err
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    assert run_here(demo_videos, whole, *HOG) == 0
    assert "Shard 1 of 2, by SLURM_ARRAY_TASK_ID." in capsys.readouterr().out
    assert StoreLayout.read(whole).num_shards == 2


def test_array_beside_a_store_without_shards(demo_videos, tmp_path, monkeypatch):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").symlink_to(demo_videos / "demo_00.mp4")
    arguments = (tmp_path / "videos", tmp_path / "store", *HOG)
    assert run_here(*arguments) == 0
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "6")
    assert run_here(*arguments) == 0
    assert not (tmp_path / "store" / "shards").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shards", "3"], "has 2 shards, not 3"),
        (["--shard", "2"], "There is no shard 2"),
        (["--shard", "x"], "must be 0 or a positive integer"),
        (["--shard", "0", "--engine", "ray"], "Leave out one of the two"),
        (["--engine", "spark"], "invalid choice: 'spark'"),
        (["--engine", "ray", "--workers", "1"], "--cpus-per-shard"),
        (["--address", "auto"], "needs the engine ray"),
        (["--retries", "-1"], "must be 0 or a positive integer"),
        (["--engine", "ray", "--address", "ray://x:1"], "one of Ray Client"),
    ],
)
def test_bad_options(demo_videos, whole, capsys, options, message):
    assert run_here(demo_videos, whole, *HOG[:2], *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_shard_of_how_many(demo_videos, tmp_path, capsys):
    assert run_here(demo_videos, tmp_path / "new", "--shard", "0") == 2
    assert "--shard 0 of how many?" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_shards_that_failed_on_the_cluster(monkeypatch, capsys, demo_videos, tmp_path):
    def fail(*arguments, **options):
        raise ShardsFailedError({2: "its node died", 4: "the disk is full"})

    monkeypatch.setattr("lightly_marlin.preparation.prepare_videos", fail)
    assert run_here(demo_videos, tmp_path / "new", "--engine", "ray") == 1
    assert "These shards failed, as told above: 2, 4." in capsys.readouterr().out
