"""State dict of a checkpoint file, read without running code from it."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lightly_marlin.utils.errors import UsageError, first_line

__all__ = ["read_state_dict"]

# Plain data that checkpoints of VideoMAE and Lightning store beside their weights.
_HARMLESS: list[Any] = [argparse.Namespace, pathlib.PosixPath]
# Keys under which programs store the weights when they save more than weights.
_WEIGHT_ENTRIES = ("state_dict", "model", "module")
# Lightning's averaging: what it trains on with; "state_dict" is the result.
_TRAINING_ENTRIES = ("current_model_state", "averaging_state")
_DEPTH = 2  # Of entries in entries; those of optimizers are deeper.
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Counters that other architectures have; their names identify the layout.
_INTEGERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
# Other content found under names of weights, by its first bytes.
_MISTAKEN = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer: fetch the file with git lfs pull",
    ),
    (b"<", "a web page, perhaps an error page of the download server"),
    (b"{", "JSON, perhaps an error message of the download server"),
)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads the weights of a checkpoint of any container format, onto the CPU.

    The container is recognised by its content, not by the name of the file.

    Args:
        path: A safetensors file, or one written by `torch.save`: a state dict, or a
            dictionary with one or several under any name.

    Returns:
        Tensors by the names that they have in the file; with the name of their entry
        and a dot before that, unless only one of "state_dict", "model" and "module"
        holds weights.

    Raises:
        UsageError: If the file is damaged, holds anything that can only be read by
            running code, or holds no weights.
    """
    content = _unpack(_read_content(path))
    if not isinstance(content, Mapping) or not content:
        raise UsageError(
            f"Cannot use {path}: it holds no weights. Supported are state dicts, "
            "alone or as entries of a dictionary."
        )
    odd = [str(name) for name, value in content.items() if not _is_weight(name, value)]
    if odd:
        raise UsageError(
            f"Cannot use {path}: it should hold named weights only, but "
            f"{', '.join(odd[:5])} is not a dense floating-point tensor of 16, 32 or "
            "64 bits."
        )
    return dict(content)


def _unpack(content: Any) -> Any:
    """Returns the state dict in what programs save beside it, or several as one."""
    if not isinstance(content, Mapping):
        return content
    main = next((e for e in _WEIGHT_ENTRIES if isinstance(content.get(e), Mapping)), "")
    if not main and any(isinstance(value, Tensor) for value in content.values()):
        return content
    skipped = (main, *(_TRAINING_ENTRIES if main == "state_dict" else ()))
    others = _entries({e: v for e, v in content.items() if e not in skipped}, _DEPTH)
    if not others:
        return content[main] if main else content
    if main:
        others = {main: content[main], **others}
    return {
        f"{e}.{name}": t for e, state in others.items() for name, t in state.items()
    }


def _entries(content: Mapping[Any, Any], depth: int) -> dict[str, Mapping[Any, Any]]:
    """Returns the state dicts in a dictionary, by their path in it."""
    found: dict[str, Mapping[Any, Any]] = {}
    for entry, value in content.items():
        if not isinstance(entry, str) or not isinstance(value, Mapping):
            continue
        if value and all(_is_weight(name, weight) for name, weight in value.items()):
            found[entry] = value
        elif depth > 1:
            inner = _entries(value, depth - 1)
            found.update({f"{entry}.{name}": state for name, state in inner.items()})
    return found


def _read_content(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            head = file.read(64)
            if _is_safetensors(head, path):
                return _read_safetensors(path)
            file.seek(0)
            return _read_pickle(file, path)
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error


def _is_safetensors(head: bytes, path: Path) -> bool:
    """Returns whether a file is safetensors, judged by its first bytes.

    Raises:
        UsageError: If it is not a checkpoint.
    """
    # The length of the header, far below 2**40, and its opening brace.
    if head[5:9] == b"\0\0\0{":
        return True
    what = "empty" if not head else ""
    for beginning, thing in _MISTAKEN:
        if head.lstrip().startswith(beginning):
            what = thing
    if what:
        raise UsageError(f"Cannot read {path}: it is not a checkpoint but {what}.")
    # Not a zip archive: the safetensors reader reports the problem.
    return path.suffix == ".safetensors" and not head.startswith(b"PK")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UsageError(
            f"Cannot read {path}: it is damaged, incomplete or no safetensors file "
            f"({first_line(error)})."
        ) from error


def _read_pickle(file: BinaryIO, path: Path) -> Any:
    try:
        with (
            torch.serialization.safe_globals(_HARMLESS),
            warnings.catch_warnings(),
        ):
            # Files that PyTorch warns about are either read anyway or reported below.
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # Bytes that are not a pickle can make the unpickler raise any exception.
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        if "TorchScript" in str(error):
            raise UsageError(
                f"Cannot read {path}: it is a program of TorchScript, which would have "
                "to be run. Give the state dict of the model it was made from."
            ) from error
        if not isinstance(error, pickle.UnpicklingError) or found is None:
            raise UsageError(
                f"Cannot read {path}: it is damaged, incomplete or no checkpoint."
            ) from error
        raise UsageError(
            f"Refused to read {path}: beside weights it holds {found[1]}, which could "
            "run code when it is read. If you trust its origin, save its weights alone "
            f'once: torch.save(torch.load("{path}", weights_only=False)["state_dict"], '
            '"weights.pt").'
        ) from error


def _is_weight(name: Any, value: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.dtype in (*_FLOATS, *_INTEGERS)
        and value.layout == torch.strided
        and not value.is_meta
    )
