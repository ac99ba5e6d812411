"""Disks that are full, and file systems that lack what a store needs."""

import contextlib
import errno
import fcntl
import json
import os
import resource
import signal
import subprocess

import pytest

from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.utils import files
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video


@pytest.fixture
def three_videos(tmp_path, make_frames, fake_faces):
    folder = tmp_path / "v"
    folder.mkdir()
    for number in range(3):
        write_video(folder / f"{number}.mp4", make_frames(30, 64, 64, seed=number))
    return folder


@contextlib.contextmanager
def small_files():
    """Lets this process write no file beyond 40 kB, as a full disk would.

    In a block and not for a whole test: the runner's own log may be longer.
    """
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_full_disk_ends_the_run(three_videos, tmp_path):
    """It is no fault of the videos, so none of them is reported as failed."""
    store = tmp_path / "store"
    prepare_videos(three_videos / "0.mp4", store, num_workers=0)
    message = r"store .* cannot be written: File too"
    with small_files(), pytest.raises(UsageError, match=message):
        prepare_videos(three_videos, store, num_workers=0)
    (track,) = FaceStore(store)
    assert track.frames.shape[0] == 30
    totals = json.loads((store / "report.json").read_text())["totals"]
    assert (totals["ok"], totals["failed"]) == (1, 0)


def test_full_disk_and_then_room(three_videos, tmp_path):
    store = tmp_path / "store"
    message = "the same command then goes on"
    with small_files(), pytest.raises(UsageError, match=message):
        prepare_videos(three_videos, store, num_workers=0)
    prepare_videos(three_videos, store, num_workers=0)
    assert len(FaceStore(store)) == 3
    assert not list((store / "tracks").glob(".*"))


def test_full_disk_while_the_index_is_written(three_videos, tmp_path, monkeypatch):
    store = tmp_path / "store"
    prepare_videos(three_videos / "0.mp4", store, num_workers=0)
    mkstemp = files.tempfile.mkstemp

    def full(*arguments, **options):
        if options["prefix"] == ".index-":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return mkstemp(*arguments, **options)

    monkeypatch.setattr(files.tempfile, "mkstemp", full)
    with pytest.raises(UsageError, match="No space left on device"):
        prepare_videos(three_videos, store, num_workers=0)
    monkeypatch.undo()
    assert len(FaceStore(store)) == 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("cannot mount a small file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_small_disk(three_videos, small_disk, make_frames):
    store = small_disk / "store"
    for number in range(3, 8):
        write_video(three_videos / f"{number}.mp4", make_frames(40, 64, 64))
    with pytest.raises(UsageError, match="No space left on device") as caught:
        prepare_videos(three_videos, store, num_workers=0)
    assert len(str(caught.value).splitlines()) == 1
    for track in FaceStore(store):
        assert track.frames.shape[0] == track.num_frames


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_file_system_without_locks(three_videos, tmp_path, monkeypatch, number):
    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UsageError, match=r"file system of the store .* has no locks"):
        prepare_videos(three_videos, tmp_path / "store", num_workers=0)


def test_store_that_may_only_be_read(three_videos, tmp_path, monkeypatch):
    """Root may write anywhere, so the refusal is played."""

    def refuse(self, *arguments, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(UsageError, match="cannot be written: Permission denied"):
        prepare_videos(three_videos, tmp_path / "store", num_workers=0)
