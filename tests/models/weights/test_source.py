import pwd
import time

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from lightly_marlin.models.weights.source import WeightsNotFoundError, locate
from lightly_marlin.utils.errors import UsageError


def test_a_folder_around_the_model_is_told(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").touch()
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(
        UsageError, match=r"no model\.safetensors, but model, pytorch_model\.bin"
    ):
        locate(tmp_path)


def test_locates_files_and_folders(tmp_path):
    (tmp_path / "model.safetensors").touch()
    assert locate(tmp_path) == tmp_path / "model.safetensors"
    assert locate(tmp_path / "model.safetensors") == tmp_path / "model.safetensors"
    with pytest.raises(UsageError, match=r"holds no config\.json"):
        locate(tmp_path, "config.json")


@pytest.mark.parametrize(
    "source", ["nowhere.pt", "gone/last.ckpt", "/no/such/folder", "run/misspelt"]
)
def test_missing_paths_are_not_looked_for_on_the_hub(source, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", None)
    with pytest.raises(FileNotFoundError, match=f"no file or folder {source}"):
        locate(source)


class Network:
    """Stands for the HTTP client: answers, or not."""

    def __init__(self, up):
        self.up = up

    def head(self, address, *, timeout):
        if not self.up:
            raise RuntimeError(f"no route to {address} in {timeout} s")


@pytest.mark.parametrize("up", [True, False])
def test_repositories_are_fetched_or_taken_from_the_cache(up, tmp_path, monkeypatch):
    asked = []

    def download(repository, name, *, local_files_only):
        asked.append((repository, name, local_files_only))
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "get_session", lambda: Network(up))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert locate("owner/name") == tmp_path / "model.safetensors"
    assert asked == [("owner/name", "model.safetensors", not up)]


def test_refused_repositories(monkeypatch):
    def download(repository, name, *, local_files_only):
        raise LocalEntryNotFoundError("401: not yours\nand more")

    monkeypatch.setattr(huggingface_hub, "get_session", lambda: Network(True))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(
        UsageError, match=r"owner/name.*not be fetched \(401: not yours"
    ):
        locate("owner/name")


def test_without_a_network_it_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: Network(False))
    start = time.perf_counter()
    with pytest.raises(FileNotFoundError, match=r"runs/model.*the Hub does not answer"):
        locate("runs/model")
    assert time.perf_counter() - start < 5


@pytest.fixture
def homeless(monkeypatch):
    """A user whom the system does not know, with "~" before the cache of the Hub."""

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", "~/.cache/hub")
    for module in (huggingface_hub.file_download, huggingface_hub.constants):
        monkeypatch.setattr(module, "HF_HUB_CACHE", "~/.cache/hub", raising=False)


@pytest.mark.parametrize("up", [True, False])
def test_the_hub_without_a_home(up, homeless, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: Network(up))
    reason = "no home .*: set HF_HOME to a fol"
    # Releases before 2.0 look into no cache where the Hub is down.
    reason = reason if up else f"{reason}|the Hub does not answer"
    with pytest.raises(WeightsNotFoundError, match=reason):
        locate("owner/name")


def test_a_tilde_without_a_home(homeless):
    with pytest.raises(WeightsNotFoundError, match="There is no file or folder ~/run"):
        locate("~/run/model")
