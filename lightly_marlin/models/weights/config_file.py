"""Configuration of a model folder or repository: its `config.json`."""

from __future__ import annotations

import json
from pathlib import Path

from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.models.weights.source import (
    WEIGHTS_NAME,
    WeightsNotFoundError,
    expand,
    locate,
)
from lightly_marlin.utils.errors import UsageError

__all__ = ["CONFIG_NAME", "HEAD_KEY", "find_config", "read_config"]

CONFIG_NAME = "config.json"
HEAD_KEY = "head"
"""Key of what a fine-tuned model says about its head, which encoders do without."""
# Required settings, because the shapes of weights do not determine them.
_UNSEEN_FIELDS = ("encoder_num_heads", "decoder_num_heads")


def read_config(source: str | Path) -> MarlinConfig:
    """Reads the `config.json` of a model folder or repository.

    Args:
        source: A folder, or the id of a repository on the Hugging Face Hub.

    Returns:
        The configuration.

    Raises:
        UsageError: A ValueError, if there is no such file or it cannot be used.
    """
    if expand(source).is_file():
        raise UsageError(
            f"{source} is a file, which does not state the sizes of its model. Give "
            "the folder that was written by save_pretrained, or load the file with "
            "create_marlin(name, weights=...) or create_marlin_encoder."
        )
    return _parse(locate(source, CONFIG_NAME))


def find_config(source: str | Path, weights: Path) -> MarlinConfig | None:
    """Reads the `config.json` beside weights, if there is one.

    Args:
        source: The source of the weights: a path or a repository id.
        weights: Path of their file, as `locate` found it.

    Returns:
        The configuration; None for single files, and if there is none beside the
        weights.

    Raises:
        UsageError: A ValueError, if there is such a file but it cannot be used.
    """
    if weights.name != WEIGHTS_NAME:
        return None
    beside = weights.with_name(CONFIG_NAME)
    if not beside.is_file():
        if expand(source).exists():
            return None
        try:
            beside = locate(source, CONFIG_NAME)
        except WeightsNotFoundError:
            return None
    return _parse(beside)


def _parse(path: Path) -> MarlinConfig:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise UsageError(
            f"Cannot read {path}: it is not a JSON file ({error})."
        ) from error
    if not isinstance(values, dict):
        raise UsageError(f"Cannot use {path}: it holds no settings by name.")
    # The models released on the Hub are Hugging Face models of this type.
    if values.get("model_type", "marlin") != "marlin":
        raise UsageError(
            f"Cannot use {path}: it is of a {values['model_type']!r} model of Hugging "
            "Face's transformers, not of MARLIN."
        )
    values = {name: value for name, value in values.items() if name != HEAD_KEY}
    try:
        config = MarlinConfig.from_dict(values)
    except UsageError as error:
        raise UsageError(f"Cannot use {path}: {error}") from error
    silent = [name for name in _UNSEEN_FIELDS if name not in values]
    if silent:
        raise UsageError(
            f"Cannot use {path}: it does not say {' and '.join(silent)}, which weights "
            "do not show."
        )
    return config
