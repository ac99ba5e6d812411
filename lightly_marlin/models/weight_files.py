"""Finding and reading files of weights, without running code from them."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
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
_WEIGHT_ENTRIES = ("state_dict", "model")


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
                f"The folder {path} holds no {name}. "
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

    Args:
        path: A `.safetensors` file, or one written by `torch.save`: a state dict, or a
            dictionary with one under "state_dict" or "model".

    Returns:
        Tensors by the names that they have in the file.

    Raises:
        UsageError: If the file is damaged, holds anything that would have to be
            executed to be read, or holds no weights.
    """
    if path.suffix == ".safetensors":
        try:
            content: Any = load_file(path)
        except (SafetensorError, OSError) as error:
            raise UsageError(
                f"Cannot read {path}: it is damaged, incomplete or no safetensors file "
                f"({_first_line(error)})."
            ) from error
    else:
        content = _read_pickle(path)
    for entry in _WEIGHT_ENTRIES:
        if isinstance(content, Mapping) and isinstance(content.get(entry), Mapping):
            content = content[entry]
            break
    if not isinstance(content, Mapping) or not content:
        raise UsageError(
            f"Cannot use {path}: it holds no weights. Supported are state dicts, "
            'alone or under "state_dict" or "model".'
        )
    odd = [str(name) for name, value in content.items() if not _is_weight(name, value)]
    if odd:
        raise UsageError(
            f"Cannot use {path}: it should hold weights by name only, but "
            f"{', '.join(odd[:5])} is no tensor of floating point numbers."
        )
    return dict(content)


def _read_pickle(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Bytes that are no pickle make the unpickler fail in any way there is.
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
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

    try:
        return Path(hf_hub_download(repository, name))
    except (OSError, HFValidationError) as error:
        raise WeightsNotFoundError(
            f"There is no file or folder {repository}, and {name} of the Hugging Face "
            f"Hub repository of that name could not be fetched ({_first_line(error)})."
        ) from error


def _is_weight(name: Any, value: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.is_floating_point()
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
