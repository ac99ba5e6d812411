"""Preparation on two nodes of Ray, of which workers, nodes and videos fail."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lightly_marlin.preparation import ShardsFailedError, prepare_videos
from lightly_marlin.preparation.ray_engine import _Counts
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.dependency import MissingExtraError
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")

N = 3


@pytest.fixture
def many_videos(demo_videos, tmp_path):
    return shutil.copytree(demo_videos, tmp_path / "videos")


@pytest.fixture
def prepare(many_videos, tmp_path, odd_detector):
    def run(store="ray", **options):
        options = {"engine": "ray", "shards": N, **options}
        return prepare_videos(
            many_videos, tmp_path / store, detector=odd_detector, **options
        )

    return run


@pytest.fixture
def slowly(monkeypatch):
    """Makes detection take so long that something can happen meanwhile."""
    monkeypatch.setenv("DETECTOR_SECONDS", "0.2")


def contents(store):
    """Bytes of every file below the shards by its path."""
    paths = [path for path in (store / "shards").rglob("*") if path.is_file()]
    return {str(path.relative_to(store)): path.read_bytes() for path in paths}


def check_equal_to_local(prepare, tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTOR_SECONDS", "0")
    prepare("local", engine="local", num_workers=1)
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
    for name in ("index.parquet", "report.json"):
        ours, theirs = tmp_path / "ray" / name, tmp_path / "local" / name
        assert ours.read_bytes() == theirs.read_bytes()


def tasks():
    """Processes that work on a shard, by Ray's name for them."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"ray::_prepare_task" in (folder / "cmdline").read_bytes():
                yield int(folder.name)


def while_it_runs(function, action):
    """Calls `action` beside a function until it returns True; returns the result."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function()))
    thread.start()
    deadline = time.monotonic() + 120
    while not action():
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    thread.join()
    return result[0]


def some_video_is_done(store):
    return list(store.glob("shards/*/.unfinished/tracks/[!.]*/video.json"))


def test_equal_to_local_in_every_byte(prepare, ray_nodes, tmp_path, monkeypatch):
    summary = prepare()
    assert [record.status for record in summary.records] == ["ok"] * 6
    check_equal_to_local(prepare, tmp_path, monkeypatch)
    assert len(FaceStore(tmp_path / "ray")) == 6
    again = prepare(shards=None)
    assert (again.num_finished_before, again.num_frames) == (6, 0)


@pytest.mark.slow
def test_worker_is_killed(prepare, ray_nodes, tmp_path, monkeypatch, slowly):
    """Its shard goes on where it stopped."""

    def kill():
        if some_video_is_done(tmp_path / "ray"):
            for pid in tasks():
                os.kill(pid, signal.SIGKILL)
            return True
        return False

    summary = while_it_runs(prepare, kill)
    assert summary.num_finished_before >= 1
    assert summary.num_tracks == 6
    check_equal_to_local(prepare, tmp_path, monkeypatch)


@pytest.mark.slow
def test_node_is_killed(prepare, ray_nodes, tmp_path, monkeypatch, slowly):
    cluster, node = ray_nodes

    def kill():
        if len(list(tasks())) == 2 and some_video_is_done(tmp_path / "ray"):
            cluster.remove_node(node, allow_graceful=False)
            return True
        return False

    summary = while_it_runs(prepare, kill)
    assert summary.num_tracks == 6
    check_equal_to_local(prepare, tmp_path, monkeypatch)


@pytest.mark.slow
def test_video_that_kills_its_worker(prepare, ray_nodes, many_videos, tmp_path):
    """It costs itself, and is tried once by each run."""
    write_video(many_videos / "black.mp4", np.zeros((20, 96, 128, 3), np.uint8))
    summary = prepare(retries=0)
    (bad,) = summary.with_status("failed")
    assert (bad.source, bad.retry) == ("black.mp4", True)
    assert "ended by SIGSEGV" in bad.reason
    assert summary.num_tracks == 6
    assert prepare().num_finished_before == 6


@pytest.mark.slow
def test_video_that_sticks_in_c(prepare, ray_nodes, many_videos, tmp_path):
    write_video(many_videos / "white.mp4", np.full((20, 96, 128, 3), 255, np.uint8))
    # Long enough for a video on a busy machine.
    summary = prepare(stall_seconds=18.0)
    (bad,) = summary.with_status("failed")
    assert (bad.source, bad.reason) == ("white.mp4", "no progress for 0.3 minutes")
    assert summary.num_tracks == 6


@pytest.mark.slow
def test_shard_that_fails_for_good(prepare, ray_nodes, tmp_path, capsys):
    """The others finish; the next run needs it alone."""
    prepare()
    folder = tmp_path / "ray" / "shards" / "00001"
    whole = (folder / "index.parquet").read_bytes()
    (folder / "index.parquet").write_bytes(b"damaged")
    with pytest.raises(ShardsFailedError, match=r"Shard 1: .*damaged index") as error:
        prepare()
    assert list(error.value.reasons) == [1]
    assert "shard 1: " in capsys.readouterr().out
    (folder / "index.parquet").write_bytes(whole)
    assert prepare().num_finished_before == 6


def test_program_begins_a_cluster_itself(many_videos, odd_detector, tmp_path):
    """As the recipe does, and names the shards that failed by its exit status."""
    recipe = Path(__file__).parents[2] / "recipes" / "preprocess_faces.py"
    command = [sys.executable, str(recipe), str(many_videos), str(tmp_path / "store")]
    command += ["--detector", odd_detector, "--engine", "ray", "--shards", "2"]
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "The store is ready" in done.stdout
    assert len(FaceStore(tmp_path / "store")) == 6


@pytest.mark.slow
def test_address_where_nothing_is(prepare):
    """One line within half a minute; Ray itself would wait for ever."""
    started = time.monotonic()
    with pytest.raises(
        UsageError, match=r"127\.0\.0\.1:9 cannot be reached: no answer"
    ):
        prepare(address="127.0.0.1:9")
    assert time.monotonic() - started < 45


def test_no_cluster_on_this_machine(prepare, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "ray_files"))
    with pytest.raises(UsageError, match=r"cluster auto cannot be reached: Could not"):
        prepare(address="auto")


def test_missing_extra(prepare, monkeypatch):
    def hide(module):
        return module != "ray"

    monkeypatch.setattr("lightly_marlin.utils.dependency._is_installed", hide)
    with pytest.raises(MissingExtraError, match=r"lightly-marlin\[ray\]"):
        prepare()


def test_counts_of_a_repeated_shard_begin_anew():
    counts = _Counts()
    counts.update(0, 5)
    counts.update(1, 2)
    counts.update(0, 1)
    assert counts.total() == 3
