"""Preparation in worker processes, of which some die."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from lightly_marlin.store import FaceStore
from lightly_marlin.video import write_video


def states(store):
    """Path and modification time of every file below the tracks."""
    files = (store / "tracks").rglob("*")
    return {path: path.stat().st_mtime_ns for path in files if path.is_file()}


PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
import lightly_marlin.faces
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.faces import FaceTrack, TorchScriptParser

class Finder:
    '''A face in the whole of every frame; `min_face` tells it how to behave.'''
    frames_seen = longest = longest_untrusted = 0

    def __init__(self, min_frames, min_face, **options):
        self.behaviour = min_face

    def update(self, frame):
        self.frames_seen += 1
        if self.behaviour == 2:
            time.sleep(0.01)
        if self.behaviour == 3 and frame.shape[0] == 64:
            os.kill(os.getpid(), signal.SIGKILL)

    def finish(self):
        n = self.frames_seen
        boxes = np.tile(np.float32([0, 0, 64, 64]), (n, 1))
        points = np.random.default_rng(0).uniform(5, 60, (n, 68, 2)).astype("f4")
        return [FaceTrack(0, boxes, points, np.ones(n, bool), 1.0)]

lightly_marlin.faces.FaceFinder = Finder
if __name__ == "__main__":
    videos, store, min_face, *networks = sys.argv[1:]
    parser = TorchScriptParser(networks[0]) if networks else None
    summary = prepare_videos(
        videos, store, num_workers=1, min_face=int(min_face), parser=parser
    )
    for record in summary.records:
        print(record.source, record.status, record.reason)
"""


@pytest.fixture
def program(tmp_path):
    """A program with a finder that dies or dawdles, and the command that runs it."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    return [sys.executable, str(path), str(tmp_path / "v"), str(tmp_path / "store")]


@pytest.fixture
def run(program, warm_python):
    """Runs the program to its end, which must be a good one."""

    def start(*arguments):
        command = [warm_python, *program[1:], *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    return start


@pytest.fixture
def many_videos(tmp_path, make_frames):
    folder = tmp_path / "v"
    folder.mkdir()
    for number in range(5):
        size = (64, 64) if number == 2 else (72, 80)
        write_video(folder / f"{number}.mp4", make_frames(20, *size))
    return folder


def test_dead_worker_costs_one_video(run, many_videos, tmp_path):
    done = run("3")
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["ok", "ok", "failed", "ok", "ok"]
    assert "its worker process was ended by SIGKILL" in lines[2]
    assert len(FaceStore(tmp_path / "store")) == 4


def test_parser_in_a_worker(run, many_videos, tmp_path):
    """A network that cannot be pickled itself is loaded again by the worker."""

    class Nose(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.full_like(images[:, 0], 6).long()

    network = tmp_path / "nose.pt"
    torch.jit.save(torch.jit.script(Nose()), network)
    run("1", network)
    store = FaceStore(tmp_path / "store")
    assert len(store) == 5
    assert all((track.cells.bits == 1 << 6).all() for track in store)


def test_killed_run_is_finished_by_the_next(program, run, many_videos, tmp_path):
    store = tmp_path / "store"
    tracks = store / "tracks"
    killed = subprocess.Popen([*program, "2"], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(tracks.glob("[!.]*/video.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.kill()
    killed.communicate()
    assert len(FaceStore(store)) < 5
    before = {p: t for p, t in states(store).items() if p.parent.name[0] != "."}
    run("2")
    after = states(store)
    assert {path: after[path] for path in before} == before
    assert len(FaceStore(store)) == 5
    assert not list(tracks.glob(".*"))


def contents(store):
    paths = [path for path in store.rglob("*") if path.is_file()]
    return {str(path.relative_to(store)): path.read_bytes() for path in paths}


def alive(session):
    """Processes of a session that still run; those that nobody waited for are dead."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if os.getsid(int(folder.name)) == session and state not in "ZX":
                found.append(int(folder.name))
    return found


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="/proc")


@needs_proc
def test_no_process_outlives_a_killed_run(program, many_videos, tmp_path):
    run = subprocess.Popen([*program, "2"], start_new_session=True)
    deadline = time.monotonic() + 60
    while len(alive(run.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 20
    while alive(run.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(run.pid) == []


@pytest.mark.slow
def test_killed_with_all_workers_again_and_again(program, many_videos, tmp_path):
    """SIGKILL to the whole process group, at moments spread over the run."""
    store, whole = tmp_path / "store", tmp_path / "whole"
    started = time.monotonic()
    subprocess.run([*program[:3], str(whole), "2"], capture_output=True, check=True)
    seconds = time.monotonic() - started
    generator = random.Random(0)
    for _ in range(8):
        run = subprocess.Popen(
            [*program, "2"], stdout=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(generator.uniform(0.3, 1.0) * seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        if (store / "index.parquet").exists():
            for track in FaceStore(store):
                assert track.frames.shape[0] == track.num_frames
    subprocess.run([*program, "2"], capture_output=True, check=True)
    assert contents(store) == contents(whole)
