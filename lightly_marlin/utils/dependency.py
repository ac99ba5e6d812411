"""Optional dependencies: one place, one message."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["require"]

_DISTRIBUTIONS = {
    "av": "av",
    "dlib": "dlib-bin",
    "executorch": "executorch",
    "face_recognition_models": "face_recognition_models",
    "kornia": "kornia",
    "skimage": "scikit-image",
    "torchao": "torchao",
}


def require(module: str, purpose: str) -> ModuleType:
    """Imports an optional dependency where it is used.

    Args:
        module: Name of the module, for example "dlib".
        purpose: What it is needed for, for the error message.

    Returns:
        The imported module.

    Raises:
        ModuleNotFoundError: If it is not installed, with the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        distribution = _DISTRIBUTIONS.get(module.partition(".")[0], module)
        raise ModuleNotFoundError(
            f"{purpose} needs the module {module}. Install it with: "
            f"pip install {distribution}",
            name=error.name,
        ) from error
