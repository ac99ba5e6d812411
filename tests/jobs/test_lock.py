"""Locks with `fcntl` and, where that is missing, with SQLite's."""

import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
import time

import pytest

from lightly_marlin.jobs.lock import take_lock, wait_for_lock
from lightly_marlin.utils.errors import UsageError


@pytest.fixture(params=["fcntl", "sqlite"])
def way(request, monkeypatch):
    if request.param == "sqlite":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    elif os.name != "posix":
        pytest.skip("there is no fcntl here")
    return request.param


def test_one_holder_at_a_time(way, tmp_path):
    lock = take_lock(tmp_path, "store")
    message = rf"Another process is writing to the store {tmp_path}\. Wait"
    with pytest.raises(UsageError, match=message):
        take_lock(tmp_path, "store")
    lock.close()
    take_lock(tmp_path, "store").close()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert (tmp_path / ".lock").read_bytes() == b""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a forked copy holds the lock")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_killed_holder_leaves_no_lock(way, tmp_path):
    process = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path,))
    process.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with pytest.raises(UsageError, match="Another process"):
        take_lock(tmp_path, "folder")
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    take_lock(tmp_path, "folder").close()


def hold(folder):
    lock = take_lock(folder, "folder")
    (folder / "held").touch()
    time.sleep(60)
    lock.close()


def test_folder_that_cannot_be_written(way, tmp_path):
    with pytest.raises(OSError, match="No such file"):
        take_lock(tmp_path / "nowhere", "store")


def test_file_system_without_locks(tmp_path, monkeypatch):
    class Database:
        def execute(self, statement):
            raise sqlite3.OperationalError("locking protocol")

        def close(self):
            pass

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(sqlite3, "connect", lambda path, **options: Database())
    with pytest.raises(UsageError, match=r"has no locks \(locking protocol\)"):
        take_lock(tmp_path, "store")


def test_a_lock_is_waited_for(way, tmp_path):
    lock = take_lock(tmp_path, "shard")
    started = time.monotonic()
    threading.Timer(0.5, lock.close).start()
    with wait_for_lock(tmp_path, "shard"):
        assert time.monotonic() - started >= 0.4
        with (
            pytest.raises(UsageError, match="Another process is writing"),
            wait_for_lock(tmp_path, "shard", seconds=0.3),
        ):
            pass
    take_lock(tmp_path, "shard").close()
