import pwd
import tempfile
from pathlib import Path

import pytest

from lightly_marlin.demo import demo_store, open_store
from lightly_marlin.utils.errors import UsageError


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache in which the demo store of open_store has been made."""
    folder = tmp_path_factory.mktemp("cache")
    demo_store(folder / "lightly_marlin" / "demo-2x16", num_clips=2, num_frames=16)
    return folder


def test_open_store__demo_clips_are_kept_in_the_cache(cache, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    store = open_store(None, demo_clips=2, demo_frames=16)
    assert len(store) == 2
    assert "built-in demo clips" in capsys.readouterr().out
    path = cache / "lightly_marlin" / "demo-2x16"
    assert open_store(path).column("track_id") == store.column("track_id")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files, and a user whom the system does not know."""
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("home", [None, "/proc/nowhere"])
def test_open_store__without_a_home(home, temporary, monkeypatch, capsys):
    if home is not None:
        monkeypatch.setenv("HOME", home)
    store = open_store(None, demo_clips=1, demo_frames=16)
    assert len(store) == 1
    assert temporary in Path(store.path).parents
    assert "built-in demo clips" in capsys.readouterr().out


def test_open_store__an_existing_cache_is_used(temporary, cache, monkeypatch):
    monkeypatch.setenv("HOME", str(temporary / "home"))
    (temporary / "home").mkdir()
    (temporary / "home" / ".cache").symlink_to(cache)
    store = open_store(None, demo_clips=2, demo_frames=16)
    assert "home" in Path(store.path).parts


def test_open_store__no_store(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        open_store(tmp_path / "nowhere")


def test_open_store__talking_clips_have_a_cache_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = open_store(None, demo_clips=1, demo_frames=16, demo_audio=True)
    assert store.path == tmp_path / "lightly_marlin" / "talking-1x16"
    assert store.column("num_samples") == [16 * 640]
