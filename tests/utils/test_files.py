import json
import stat

import pytest

from lightly_marlin.utils.files import atomic_write, remove_leftovers, write_json


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
