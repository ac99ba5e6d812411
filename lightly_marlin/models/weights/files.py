"""Finding and reading files of weights, without running code from them."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lightly_marlin.utils.errors import UsageError

__all__ = ["WEIGHTS_NAME", "WeightsNotFoundError", "locate", "read_tensors"]

WEIGHTS_NAME = "model.safetensors"
_REPOSITORY_ID = re.compile(r"[\w.-]+/[\w.-]+")
_FILE_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".json")
# Plain data that checkpoints of VideoMAE and Lightning carry beside their weights.
_HARMLESS: list[Any] = [argparse.Namespace, pathlib.PosixPath]
# Where programs put the weights when they save more than those.
_WEIGHT_ENTRIES = ("state_dict", "model", "module")
_PATIENCE = 10.0  # Seconds.
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Counters, as other architectures have them; whose they are is told by their names.
_INTEGERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
# What else gets saved under a name of weights, and how it begins.
_MISTAKEN = (
    (
        b"version https://git-lfs",
        "a pointer of Git LFS: fetch the file by git lfs pull",
    ),
    (b"<", "a web page, perhaps an error of the server it was to come from"),
    (b"{", "JSON, perhaps an error of the server it was to come from"),
)


class WeightsNotFoundError(UsageError, FileNotFoundError):
    """The weights are neither a path that exists nor on the Hugging Face Hub."""


def locate(source: str | Path, name: str = WEIGHTS_NAME) -> Path:
    """Finds a file of a model folder, a repository on the Hub, or the file itself.

    Args:
        source: Path of a file or folder, or repository id as in "ControlNet/MARLIN".
        name: The file to find in a folder or repository.

    Returns:
        The path of the file; downloaded first if `source` is a repository.

    Raises:
        UsageError: If the folder lacks the file.
        WeightsNotFoundError: If nothing of that name exists here or on the Hub.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        if not (path / name).is_file():
            raise UsageError(
                f"The folder {path} holds no {name}{_other_weights(path)}. "
                "Give the folder that was written by save_pretrained."
            )
        return path / name
    repository = str(source)
    # A misspelt path below a folder that exists is not worth asking the network for.
    local = path.suffix in _FILE_SUFFIXES or path.parent.is_dir()
    if local or not _REPOSITORY_ID.fullmatch(repository):
        raise WeightsNotFoundError(
            f"There is no file or folder {source}, and it is no repository id of the "
            "Hugging Face Hub (owner/name)."
        )
    return _download(repository, name)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Reads the weights of a checkpoint of any container format, on the CPU.

    The container is told from the content. Prefixes that `DistributedDataParallel` and
    `torch.compile` put before all names are left off.

    Args:
        path: A safetensors file, or one written by `torch.save`: a state dict, or a
            dictionary with one under "state_dict", "model" or "module".

    Returns:
        Tensors by the names that they have in the file.

    Raises:
        UsageError: If the file is damaged, holds anything that would have to be
            executed to be read, or holds no weights.
    """
    content = _read_content(path)
    for entry in _WEIGHT_ENTRIES:
        if isinstance(content, Mapping) and isinstance(content.get(entry), Mapping):
            content = content[entry]
            break
    if not isinstance(content, Mapping) or not content:
        raise UsageError(
            f"Cannot use {path}: it holds no weights. Supported are state dicts, "
            'alone or under "state_dict", "model" or "module".'
        )
    odd = [str(name) for name, value in content.items() if not _is_weight(name, value)]
    if odd:
        raise UsageError(
            f"Cannot use {path}: it should hold weights by name only, but "
            f"{', '.join(odd[:5])} is no dense tensor of floating point numbers of 16, "
            "32 or 64 bits."
        )
    return _without_wrappers(content)


def _read_content(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error
    # The length of the header, far below 2**40, and its opening brace.
    if head[5:9] == b"\0\0\0{":
        return _read_safetensors(path)
    what = "empty" if not head else ""
    for beginning, thing in _MISTAKEN:
        if head.lstrip().startswith(beginning):
            what = thing
    if what:
        raise UsageError(f"Cannot read {path}: it is no checkpoint but {what}.")
    if path.suffix == ".safetensors" and not head.startswith(b"PK"):
        return _read_safetensors(path)  # Says what is wrong with it.
    return _read_pickle(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UsageError(
            f"Cannot read {path}: it is damaged, incomplete or no safetensors file "
            f"({_first_line(error)})."
        ) from error


def _read_pickle(path: Path) -> Any:
    try:
        with (
            path.open("rb") as file,
            torch.serialization.safe_globals(_HARMLESS),
            warnings.catch_warnings(),
        ):
            # What PyTorch warns of is either read nevertheless or reported below.
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # Bytes that are no pickle make the unpickler fail in any way there is.
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


def _download(repository: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError

    reachable = _hub_answers()
    try:
        path = hf_hub_download(repository, name, local_files_only=not reachable)
    except (OSError, HFValidationError) as error:
        reason = _first_line(error) if reachable else "the Hub does not answer"
        raise WeightsNotFoundError(
            f"There is no file or folder {repository}, and {name} of the Hugging Face "
            f"Hub repository of that name could not be fetched ({reason})."
        ) from error
    return Path(path)


def _hub_answers() -> bool:
    """Asks once: a download without a network tries again for half a minute."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
    except Exception:
        # Which error it is depends on the HTTP client of the installed version.
        return False
    return True


def _other_weights(folder: Path) -> str:
    """Names what else in a folder could have been meant."""
    others = sorted(
        entry.name
        for entry in folder.iterdir()
        if (entry.suffix in _FILE_SUFFIXES and entry.suffix != ".json")
        or (entry / WEIGHTS_NAME).is_file()
    )
    return f", but {', '.join(others[:5])}" if others else ""


def _without_wrappers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    unwrapped = {name.replace("_orig_mod.", ""): t for name, t in tensors.items()}
    while all(name.startswith("module.") for name in unwrapped):
        unwrapped = {name.removeprefix("module."): t for name, t in unwrapped.items()}
    return unwrapped


def _is_weight(name: Any, value: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.dtype in (*_FLOATS, *_INTEGERS)
        and value.layout == torch.strided
        and not value.is_meta
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
