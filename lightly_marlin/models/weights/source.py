"""Source of weights: a file, a model folder or a repository of the Hub."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lightly_marlin.utils.errors import UsageError, first_line

__all__ = [
    "WEIGHTS_NAME",
    "WeightsNotFoundError",
    "expand",
    "locate",
    "split_prefix",
]

WEIGHTS_NAME = "model.safetensors"
_REPOSITORY_ID = re.compile(r"[\w.-]+/[\w.-]+")
_FILE_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".json")
_PATIENCE = 10.0  # Seconds.


class WeightsNotFoundError(UsageError, FileNotFoundError):
    """Error for weights that neither exist at a path nor on the Hugging Face Hub."""


def expand(source: str | Path) -> Path:
    """Returns a path with "~" expanded, as it is for a user without a home."""
    return Path(os.path.expanduser(source))


def locate(source: str | Path, name: str = WEIGHTS_NAME) -> Path:
    """Finds a file of a model folder, a repository on the Hub, or the file itself.

    Args:
        source: Path of a file or folder, or repository id as in "ControlNet/MARLIN".
        name: The file to find in a folder or repository.

    Returns:
        The path of the file; downloaded first if `source` is a repository.

    Raises:
        UsageError: If the folder does not contain the file.
        WeightsNotFoundError: If nothing of that name exists here or on the Hub.
    """
    path = expand(source)
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
    # A misspelt path below an existing folder is not worth a request to the Hub.
    local = path.suffix in _FILE_SUFFIXES or path.parent.is_dir()
    if local or not _REPOSITORY_ID.fullmatch(repository):
        raise WeightsNotFoundError(
            f"There is no file or folder {source}, and it is no repository id of the "
            "Hugging Face Hub (owner/name)."
        )
    return _download(repository, name)


def split_prefix(source: str | Path) -> tuple[str | Path, str | None]:
    """Splits "SOURCE#PREFIX", which chooses one of several models in a file.

    Args:
        source: Path or repository id, with or without a prefix of names of weights.

    Returns:
        The source alone, and the prefix; None where there is none, also where "#" is in
        the name of a file or folder.
    """
    alone, mark, prefix = str(source).rpartition("#")
    if not mark or expand(source).exists():
        return source, None
    if expand(alone).exists() or _REPOSITORY_ID.fullmatch(alone):
        return alone, prefix
    return source, None


def _download(repository: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError

    reachable = _hub_answers()
    try:
        path = hf_hub_download(repository, name, local_files_only=not reachable)
    except (OSError, HFValidationError, RuntimeError) as error:
        reason = first_line(error) if reachable else "the Hub does not answer"
        if not isinstance(error, (OSError, HFValidationError)):
            # pathlib's, of a user without a home.
            reason = "there is no home for its cache: set HF_HOME to a folder"
        raise WeightsNotFoundError(
            f"There is no file or folder {repository}, and {name} of the Hugging Face "
            f"Hub repository of that name could not be fetched ({reason})."
        ) from error
    return Path(path)


def _hub_answers() -> bool:
    """Returns whether the Hub answers: without a network, downloads retry for long."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
    except Exception:
        # The type of error depends on the HTTP client of the installed version.
        return False
    return True


def _other_weights(folder: Path) -> str:
    """Names other files in a folder that could have been meant."""
    others = sorted(
        entry.name
        for entry in folder.iterdir()
        if (entry.suffix in _FILE_SUFFIXES and entry.suffix != ".json")
        or (entry / WEIGHTS_NAME).is_file()
    )
    return f", but {', '.join(others[:5])}" if others else ""
