import argparse
import os
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import save_file

from lightly_marlin.models.weight_files import locate, read_tensors
from lightly_marlin.utils.errors import UsageError

STATE = {"a.weight": torch.ones(2), "b.bias": torch.zeros(1)}


class Hostile:
    """Makes a file when it is unpickled by a reader that runs code."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "hyper_parameters": {"path": Path("videos")}, "epoch": 3},
        {"model": STATE, "args": argparse.Namespace(lr=0.1)},
    ],
)
def test_finds_the_weights_in_pickles(content, tmp_path):
    torch.save(content, tmp_path / "weights.ckpt")
    assert list(read_tensors(tmp_path / "weights.ckpt")) == list(STATE)


def test_reads_safetensors(tmp_path):
    save_file(STATE, tmp_path / "weights.safetensors")
    tensors = read_tensors(tmp_path / "weights.safetensors")
    assert torch.equal(tensors["a.weight"], torch.ones(2))


def test_runs_no_code(tmp_path):
    trap = tmp_path / "trap"
    torch.save({"state_dict": STATE, "extra": Hostile(trap)}, tmp_path / "bad.pt")
    with pytest.raises(UsageError, match=r"Refused to read .*bad\.pt: .*weights alone"):
        read_tensors(tmp_path / "bad.pt")
    assert not trap.exists()


def test_refuses_objects_among_hyper_parameters(tmp_path):
    content = {"state_dict": STATE, "hyper_parameters": {"device": Hostile("x")}}
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(UsageError, match=r"holds \w+\.mkdir, which could run code"):
        read_tensors(tmp_path / "last.ckpt")


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("kept", [0, 5, 200])
def test_truncated_files(suffix, kept, tmp_path):
    path = tmp_path / f"weights.{suffix}"
    save_file(STATE, path) if suffix == "safetensors" else torch.save(STATE, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(kept, len(whole) - 1)])
    with pytest.raises(UsageError, match=r"Cannot read .*weights.*damaged"):
        read_tensors(path)


def test_text_files(tmp_path):
    (tmp_path / "notes.pt").write_text("these are not the weights")
    with pytest.raises(UsageError, match=r"Cannot read .*notes\.pt"):
        read_tensors(tmp_path / "notes.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "holds no weights"),
        ([torch.ones(1)], "holds no weights"),
        ({"a": torch.ones(1), "epoch": 3}, "epoch is no tensor"),
        ({"a": torch.ones(1, dtype=torch.int64)}, "a is no tensor of floating point"),
    ],
)
def test_files_without_weights(content, message, tmp_path):
    torch.save(content, tmp_path / "odd.pt")
    with pytest.raises(UsageError, match=message):
        read_tensors(tmp_path / "odd.pt")


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


def test_repositories_are_fetched(tmp_path, monkeypatch):
    asked = []

    def download(repository, name):
        asked.append((repository, name))
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert locate("owner/name") == tmp_path / "model.safetensors"
    assert asked == [("owner/name", "model.safetensors")]


def test_unreachable_repositories(monkeypatch):
    def download(repository, name):
        raise LocalEntryNotFoundError("no network\nand more")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(UsageError, match=r"owner/name.*could not be fetched \(no net"):
        locate("owner/name")
