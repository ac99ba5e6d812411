"""Entry points for `torch.hub`.

    torch.hub.load("/path/to/clone", "marlin_vit_small", source="local", weights=None)

`marlin_vit_*` return encoders; `create_marlin` returns a whole masked autoencoder.
"""

from importlib.util import find_spec as _find_spec
from pathlib import Path as _Path
from typing import Any as _Any

import lightly_marlin as _package

# In a checkout that is not installed, the kernels lie beside the package, not in it.
if _find_spec("lightly_marlin.kernels") is None:
    _package.__path__.append(str(_Path(__file__).resolve().parent))

from lightly_marlin.models import MarlinEncoder as _MarlinEncoder
from lightly_marlin.models import create_marlin, create_marlin_encoder

__all__ = [
    "create_marlin",
    "create_marlin_encoder",
    "marlin_vit_base",
    "marlin_vit_large",
    "marlin_vit_small",
    "marlin_vit_tiny",
]

dependencies = ["huggingface_hub", "lightly", "safetensors", "timm", "torch"]


def marlin_vit_tiny(weights: str | None = None, **overrides: _Any) -> _MarlinEncoder:
    """The tiny encoder, of 192 features; see `create_marlin_encoder`.

    Args:
        weights: Path of a checkpoint or repository on the Hugging Face Hub.
        overrides: Fields of `MarlinConfig` to set to other values.

    Returns:
        The encoder.
    """
    return create_marlin_encoder("marlin_vit_tiny", weights=weights, **overrides)


def marlin_vit_small(weights: str | None = None, **overrides: _Any) -> _MarlinEncoder:
    """The small encoder, of 384 features; see `create_marlin_encoder`.

    Args:
        weights: Path of a checkpoint or repository on the Hugging Face Hub.
        overrides: Fields of `MarlinConfig` to set to other values.

    Returns:
        The encoder.
    """
    return create_marlin_encoder("marlin_vit_small", weights=weights, **overrides)


def marlin_vit_base(weights: str | None = None, **overrides: _Any) -> _MarlinEncoder:
    """The base encoder, of 768 features; see `create_marlin_encoder`.

    Args:
        weights: Path of a checkpoint or repository on the Hugging Face Hub.
        overrides: Fields of `MarlinConfig` to set to other values.

    Returns:
        The encoder.
    """
    return create_marlin_encoder("marlin_vit_base", weights=weights, **overrides)


def marlin_vit_large(weights: str | None = None, **overrides: _Any) -> _MarlinEncoder:
    """The large encoder, of 1024 features; see `create_marlin_encoder`.

    Args:
        weights: Path of a checkpoint or repository on the Hugging Face Hub.
        overrides: Fields of `MarlinConfig` to set to other values.

    Returns:
        The encoder.
    """
    return create_marlin_encoder("marlin_vit_large", weights=weights, **overrides)
