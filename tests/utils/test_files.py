import errno
import json
import os
import stat

import pytest

from lightly_marlin.utils.files import (
    atomic_write,
    file_sha256,
    remove_leftovers,
    why_not_writable,
    write_json,
)


def test_atomic_write__replaces_when_done(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".txt"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write__keeps_the_old_file_when_the_block_fails(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half():
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write__others_may_read(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    with atomic_write(tmp_path / "file") as temporary:
        temporary.touch()
    modes = [stat.S_IMODE((tmp_path / x).stat().st_mode) for x in ("plain", "file")]
    assert modes[0] == modes[1]


def test_write_json__keeps_unicode(tmp_path):
    write_json(tmp_path / "a.json", {"source": "gesicht ü.mp4"})
    assert "ü" in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "a.json").read_text()) == {"source": "gesicht ü.mp4"}


def test_remove_leftovers__removes_nothing_else(tmp_path):
    names = ["a.json", ".a-x1.json", ".b-x1.json", ".a-x1.txt", "a-x1.json"]
    for name in names:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "a.json")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == set(names) - {".a-x1.json"}


@pytest.mark.parametrize(
    "name",
    [
        "a" * 251 + ".npy",
        "脸" * 81 + ".npy",
        "a" * 255,
        "a." + "b" * 253,
        "\udcff" * 251 + ".npy",
        "[*" * 100 + ".json",
    ],
)
def test_atomic_write__names_as_long_as_a_file_system_allows(tmp_path, name):
    path = tmp_path / name
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert len(temporary.name) < 80
    assert path.read_text() == "new"
    # As if the process had been killed in the block.
    (tmp_path / temporary.name).touch()
    (tmp_path / ".other-x1.npy").touch()
    remove_leftovers(path)
    assert {file.name for file in tmp_path.iterdir()} == {name, ".other-x1.npy"}


def test_why_not_writable__of_a_folder(tmp_path):
    assert why_not_writable(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert why_not_writable(tmp_path / "gone") == "No such file or directory"


@pytest.mark.parametrize(
    ("number", "is_lasting"),
    [
        (errno.ENOSPC, True),
        (errno.EROFS, True),
        (errno.ENAMETOOLONG, False),
        (errno.EISDIR, False),
        (errno.EACCES, False),
    ],
)
def test_why_not_writable__after_an_error(tmp_path, number, is_lasting):
    reason = why_not_writable(tmp_path, OSError(number, os.strerror(number)))
    assert reason == (os.strerror(number) if is_lasting else None)


def test_file_sha256__of_abc(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
