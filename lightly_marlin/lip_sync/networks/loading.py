"""Loading of a generator of either kind."""

from __future__ import annotations

import json
from pathlib import Path

from lightly_marlin.lip_sync.dubbing.lip_stream import AnyGenerator
from lightly_marlin.lip_sync.networks.generator import LipSyncGenerator
from lightly_marlin.lip_sync.networks.wav2lip_generator import Wav2LipGenerator
from lightly_marlin.models.weights.config_file import CONFIG_NAME
from lightly_marlin.models.weights.source import locate
from lightly_marlin.utils.errors import UsageError

__all__ = ["load_generator"]

_KINDS: dict[str, type[AnyGenerator]] = {
    kind.__name__: kind for kind in (LipSyncGenerator, Wav2LipGenerator)
}


def load_generator(source: str | Path) -> AnyGenerator:
    """Loads a generator whose kind `config.json` names.

    Args:
        source: A folder that `save_pretrained` of `LipSyncGenerator` or
            `Wav2LipGenerator` wrote, or the id of a repository on the Hugging Face Hub.

    Returns:
        The generator, on the CPU and in evaluation mode.

    Raises:
        UsageError: A ValueError, if `source` does not exist, cannot be read, or holds
            no generator.
    """
    path = locate(source, CONFIG_NAME)
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        values = None
    kind = values.get("class") if isinstance(values, dict) else None
    if kind not in _KINDS:
        raise UsageError(
            f"{path} describes no generator of lips, but {kind or 'something else'}. "
            f"Give a folder that save_pretrained of {' or '.join(_KINDS)} wrote."
        )
    return _KINDS[kind].from_pretrained(source)
