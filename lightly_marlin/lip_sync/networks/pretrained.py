"""Lip-sync networks saved as folders and as repositories of the Hugging Face Hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor

from lightly_marlin.models import accelerate_cpu
from lightly_marlin.models.weights.config_file import CONFIG_NAME
from lightly_marlin.models.weights.source import WEIGHTS_NAME, locate
from lightly_marlin.models.weights.state_dict import read_state_dict
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, write_json

__all__ = ["LipSyncPretrained"]

_LISTED = 5

_Model = TypeVar("_Model", bound="LipSyncPretrained")


class LipSyncPretrained:
    """Saving to and loading from folders and Hub repositories, as a mix-in.

    A folder holds `model.safetensors` and `config.json` with the name of the class and
    its settings.
    """

    def settings(self) -> dict[str, Any]:
        """Returns what `from_settings` needs to build the network again, for JSON."""
        raise NotImplementedError

    @classmethod
    def from_settings(cls: type[_Model], settings: Mapping[str, Any]) -> _Model:
        """Builds the network with random weights.

        Args:
            settings: Result of `settings`.

        Raises:
            TypeError: If a name is unknown or missing.
            ValueError: If a value is invalid.
        """
        return cls(**settings)

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes weights and configuration, each file atomically.

        Args:
            directory: The folder to write to; created if it does not exist.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        state: dict[str, Tensor] = self.state_dict()  # type: ignore[attr-defined]
        tensors = {name: tensor.contiguous() for name, tensor in state.items()}
        with atomic_write(directory / WEIGHTS_NAME) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt"})
        config = {"class": type(self).__name__, "settings": self.settings()}
        write_json(directory / CONFIG_NAME, config)

    @classmethod
    def from_pretrained(cls: type[_Model], source: str | Path) -> _Model:
        """Loads a network that `save_pretrained` wrote.

        Args:
            source: A folder, or the id of a repository on the Hugging Face Hub.

        Returns:
            The network, on the CPU, accelerated there, and in evaluation mode.

        Raises:
            UsageError: A ValueError, if `source` does not exist, cannot be read, or
                holds another network or weights that do not fit.
        """
        config = locate(source, CONFIG_NAME)
        settings = _read_settings(config, cls.__name__)
        try:
            model: Any = cls.from_settings(settings)
        except (TypeError, ValueError) as error:
            raise UsageError(f"Cannot use {config}: {error}") from error
        weights = locate(source)
        state = read_state_dict(weights)
        _check_fit(model.state_dict(), state, cls.__name__, weights)
        model.load_state_dict(state)
        loaded: _Model = accelerate_cpu(model).eval()
        return loaded


def _read_settings(path: Path, name: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
        kind, settings = values["class"], dict(values["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} describes no network of lip synchronisation. Give a folder that "
            f"{name}.save_pretrained wrote."
        ) from error
    if kind != name:
        raise UsageError(f"{path} describes a {kind}, not a {name}: load it as such.")
    return settings


def _check_fit(
    own: Mapping[str, Tensor], found: Mapping[str, Tensor], name: str, path: Path
) -> None:
    problems = {
        "missing": [n for n in own if n not in found],
        "unexpected": [n for n in found if n not in own],
        "wrong shape:": [
            f"{n} is {tuple(found[n].shape)} instead of {tuple(own[n].shape)}"
            for n in own
            if n in found and found[n].shape != own[n].shape
        ],
        "NaN or infinity in": [n for n in found if not torch.isfinite(found[n]).all()],
    }
    said = [
        f"{label} {', '.join(names[:_LISTED])}"
        + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        for label, names in problems.items()
        if names
    ]
    if said:
        raise UsageError(f"The weights in {path} do not fit {name}: {'; '.join(said)}.")
