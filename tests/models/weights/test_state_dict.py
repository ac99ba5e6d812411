import argparse
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lightly_marlin.models.weights.state_dict import read_state_dict
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
    assert list(read_state_dict(tmp_path / "weights.ckpt")) == list(STATE)


def test_reads_safetensors(tmp_path):
    save_file(STATE, tmp_path / "weights.safetensors")
    tensors = read_state_dict(tmp_path / "weights.safetensors")
    assert torch.equal(tensors["a.weight"], torch.ones(2))


def test_runs_no_code(tmp_path):
    trap = tmp_path / "trap"
    torch.save({"state_dict": STATE, "extra": Hostile(trap)}, tmp_path / "bad.pt")
    with pytest.raises(UsageError, match=r"Refused to read .*bad\.pt: .*weights alone"):
        read_state_dict(tmp_path / "bad.pt")
    assert not trap.exists()


def test_refuses_objects_among_hyper_parameters(tmp_path):
    content = {"state_dict": STATE, "hyper_parameters": {"device": Hostile("x")}}
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(UsageError, match=r"holds \w+\.mkdir, which could run code"):
        read_state_dict(tmp_path / "last.ckpt")


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("kept", [5, 200])
def test_truncated_files(suffix, kept, tmp_path):
    path = tmp_path / f"weights.{suffix}"
    save_file(STATE, path) if suffix == "safetensors" else torch.save(STATE, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(kept, len(whole) - 1)])
    with pytest.raises(UsageError, match=r"Cannot read .*weights.*damaged"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "but empty"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        ("\n<!DOCTYPE html>\n<title>404</title>", "a web page"),
        ('{"error": "Repository not found"}', "JSON"),
    ],
)
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_content_that_is_not_weights_is_named(content, what, suffix, tmp_path):
    path = tmp_path / f"weights.{suffix}"
    path.write_text(content)
    with pytest.raises(UsageError, match=rf"weights\.{suffix}: it is not a .*{what}"):
        read_state_dict(path)


def test_containers_are_recognised_by_their_content(tmp_path):
    save_file(STATE, tmp_path / "weights.pt")
    torch.save(STATE, tmp_path / "weights.safetensors")
    for name in ("weights.pt", "weights.safetensors"):
        assert list(read_state_dict(tmp_path / name)) == list(STATE)


def test_any_length_of_a_header_is_one_of_safetensors(tmp_path):
    # Padding makes the first byte a space, then an opening bracket: 0x3c20.
    metadata = {"padding": "x" * 15000}
    for _ in range(400):
        save_file(STATE, tmp_path / "weights.safetensors", metadata)
        if (tmp_path / "weights.safetensors").read_bytes()[:2] == b" <":
            break
        metadata["padding"] += "x" * 4
    assert (tmp_path / "weights.safetensors").read_bytes()[:2] == b" <"
    assert list(read_state_dict(tmp_path / "weights.safetensors")) == sorted(STATE)


def test_programs_are_not_run(tmp_path, recwarn):
    torch.jit.script(torch.nn.Identity()).save(str(tmp_path / "program.pt"))
    recwarn.clear()
    with pytest.raises(
        UsageError, match=r"program\.pt: it is a program of TorchScript"
    ):
        read_state_dict(tmp_path / "program.pt")
    assert not recwarn.list


@pytest.mark.parametrize("form", ["legacy", "bare"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors", "bin"])
def test_no_form_of_pickle_runs_code(form, suffix, tmp_path, recwarn):
    trap, path = tmp_path / "trap", tmp_path / f"bad.{suffix}"
    if form == "bare":
        path.write_bytes(pickle.dumps(Hostile(trap)))
    else:
        content = {"state_dict": STATE, "extra": Hostile(trap)}
        torch.save(content, path, _use_new_zipfile_serialization=False)
    with pytest.raises(UsageError, match=r"read .*bad\."):
        read_state_dict(path)
    assert not trap.exists()
    assert not recwarn.list


def test_text_files(tmp_path):
    (tmp_path / "notes.pt").write_text("these are not the weights")
    with pytest.raises(UsageError, match=r"Cannot read .*notes\.pt"):
        read_state_dict(tmp_path / "notes.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "holds no weights"),
        ([torch.ones(1)], "holds no weights"),
        (
            {"a": torch.ones(1), "epoch": 3},
            "epoch is not a dense floating-point",
        ),
        ({"a": torch.ones(1).to_sparse()}, "a is not a dense floating-point"),
        ({"a": torch.ones(1, device="meta")}, "a is not a dense floating-point"),
        ({"a": torch.ones(1, dtype=torch.float8_e4m3fn)}, "16, 32 or 64 bits"),
        (
            {"a": torch.ones(1, dtype=torch.complex64)},
            "a is not a dense floating-point tensor",
        ),
    ],
)
def test_files_without_weights(content, message, tmp_path):
    torch.save(content, tmp_path / "odd.pt")
    with pytest.raises(UsageError, match=message):
        read_state_dict(tmp_path / "odd.pt")
