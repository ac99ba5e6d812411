"""Folders at URLs, on a file system in memory."""

import sys

import pytest

from lightly_marlin.utils.dependency import MissingExtraError
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.remote import RemoteFolder, is_url


@pytest.fixture
def remote(request):
    fsspec = pytest.importorskip("fsspec")
    folder = RemoteFolder(f"memory://{request.node.name}/")
    yield folder
    fsspec.filesystem("memory").store.clear()


@pytest.mark.parametrize("path", ["s3://a/b", "memory://x", "file:///tmp", "a+b://c"])
def test_urls(path):
    assert is_url(path)


@pytest.mark.parametrize("path", ["a/b", "/a:b", "C:/videos", "C:\\videos", "a:b", ""])
def test_paths(path):
    assert not is_url(path)


def test_files(remote, tmp_path):
    assert remote.read("a/b.txt") is None
    assert remote.state("a/b.txt") is None
    remote.write("a/b.txt", b"one")
    assert remote.read("a/b.txt") == b"one"
    before = remote.state("a/b.txt")
    assert before["size"] == 3
    (tmp_path / "file").write_bytes(b"three")
    remote.put(tmp_path / "file", "a/b.txt")
    assert remote.state("a/b.txt") != before
    assert remote.fetch("a/b.txt", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"three"
    remote.remove("a/b.txt")
    remote.remove("a/b.txt")
    assert remote.read("a/b.txt") is None


def test_what_does_not_exist_leaves_nothing(remote, tmp_path):
    assert not remote.fetch("a", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_scheme():
    with pytest.raises(UsageError, match=r"nothing://here cannot be opened: .*nothing"):
        RemoteFolder("nothing://here")


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r"lightly-marlin\[remote\]"):
        RemoteFolder("s3://bucket/folder")
