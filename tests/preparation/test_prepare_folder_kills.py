"""Killed at any moment, run again: the store of a run that was never disturbed."""

import os
import random
import shutil
import signal
import sys
import time

import numpy as np
import pytest

from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.store.format import video_id
from lightly_marlin.store.writer import StoreWriter
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked copies")

STEPS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod"}
"""What Python reports before it is done; with one path, or two."""


@pytest.fixture
def few_videos(tmp_path, make_frames, fake_faces):
    folder = tmp_path / "v"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(["a.mp4", "deep/a.mp4", "b.mkv"]):
        write_video(folder / name, make_frames(18 + number, 64, 64, seed=number))
    (folder / "bad.mp4").write_text("no video")
    return folder


def run(function):
    """Runs a function in a copy of this process; returns the copy's process id."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        finally:
            os._exit(0)
    return pid


def kill_at_step(store, number):
    """Makes this process kill itself before its n-th file operation in the store."""
    left = [number]

    def count(event, arguments):
        if event in STEPS and str(arguments[0]).startswith(str(store)):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def contents(store):
    """Bytes of every file of a store by its relative path."""
    paths = [path for path in store.rglob("*") if path.is_file()]
    return {str(path.relative_to(store)): path.read_bytes() for path in paths}


def finished(store):
    """Modification time and inode of the files of all finished videos."""
    files = store.glob("tracks/[!.]*/*")
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def check_readable(store):
    """Whatever the index names can be read in full."""
    if (store / "index.parquet").exists():
        for track in FaceStore(store):
            assert track.frames.shape[0] == len(track.cells) == track.num_frames


def killed_at(videos, store, step, **options):
    """Runs preparation up to a step; returns whether it got there."""

    def work():
        kill_at_step(store, step)
        prepare_videos(videos, store, num_workers=0, **options)

    _, status = os.waitpid(run(work), 0)
    return os.WIFSIGNALED(status)


def check_every_step(videos, tmp_path, steps, **options):
    prepare_videos(videos, tmp_path / "whole", num_workers=0, **options)
    expected = contents(tmp_path / "whole")
    for number, step in enumerate(steps):
        store = tmp_path / f"store_{number}"
        if not killed_at(videos, store, step, **options):
            assert contents(store) == expected
            return number
        check_readable(store)
        before = finished(store) if store.exists() else {}
        prepare_videos(videos, store, num_workers=0, **options)
        after = finished(store)
        assert {path: after[path] for path in before} == before
        assert contents(store) == expected
    return len(steps)


def test_killed_at_some_steps(few_videos, tmp_path):
    steps = sorted(random.Random(0).sample(range(90), 12))
    assert check_every_step(few_videos, tmp_path, steps) > 5


def test_killed_at_some_steps_with_sound(few_videos, tmp_path, make_frames):
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 12000)
    write_video(few_videos / "a.mp4", make_frames(18, 64, 64), audio=sound)
    steps = sorted(random.Random(3).sample(range(90), 10))
    assert check_every_step(few_videos, tmp_path, steps, audio=True) > 4
    assert len(FaceStore(tmp_path / "whole").tracks_with_audio()) == 1


@pytest.mark.slow
def test_killed_at_every_step(few_videos, tmp_path):
    assert check_every_step(few_videos, tmp_path, range(1000)) > 60


def test_killed_again_and_again(few_videos, tmp_path):
    """Also while an earlier version of the tracks is replaced by another one."""
    prepare_videos(few_videos, tmp_path / "whole", num_workers=0)
    expected = contents(tmp_path / "whole")
    store = tmp_path / "store"
    prepare_videos(few_videos, store, num_workers=0, min_face=50)
    generator = random.Random(1)
    for _ in range(12):
        killed_at(few_videos, store, generator.randrange(10, 70))
        FaceStore(store)
    prepare_videos(few_videos, store, num_workers=0)
    assert contents(store) == expected


def test_killed_at_random_times(few_videos, tmp_path):
    started = time.monotonic()
    prepare_videos(few_videos, tmp_path / "whole", num_workers=0)
    seconds = time.monotonic() - started
    store, generator = tmp_path / "store", random.Random(2)
    for _ in range(10):
        pid = run(lambda: prepare_videos(few_videos, store, num_workers=0))
        time.sleep(generator.uniform(0, seconds))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        check_readable(store)
    prepare_videos(few_videos, store, num_workers=0)
    assert contents(store) == contents(tmp_path / "whole")


def test_readers_while_a_run_writes(few_videos, tmp_path, monkeypatch):
    """Readers see finished videos only, and never half an index."""
    store = tmp_path / "store"
    prepare_videos(few_videos, store, num_workers=0)
    for number in range(6):
        shutil.copy(few_videos / "a.mp4", few_videos / f"{number}.mp4")
    monkeypatch.setattr("lightly_marlin.jobs.ledger._FLUSH_SECONDS", 0.0)
    pid = run(lambda: prepare_videos(few_videos, store, num_workers=0))
    rounds = 0
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        assert len(FaceStore(store)) >= 3
        check_readable(store)
        rounds += 1
    assert rounds > 3
    assert len(FaceStore(store)) == 9


def test_two_runs_at_once(few_videos, tmp_path):
    """The second one is refused, also in a fork; a killed one leaves no lock."""
    store = tmp_path / "store"

    def hold():
        with StoreWriter(store):
            (tmp_path / "held").touch()
            time.sleep(60)

    pid = run(hold)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with pytest.raises(UsageError, match="Another process is writing to the store"):
        prepare_videos(few_videos, store, num_workers=0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    prepare_videos(few_videos, store, num_workers=0)
    assert len(FaceStore(store)) == 3
    assert (store / "tracks" / video_id("a.mp4")).is_dir()
