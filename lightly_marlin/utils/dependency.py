"""Optional dependencies: one place, one message.

The base install covers models, masks, losses and kernels. Everything else belongs to an
extra of pyproject.toml and is imported where it is used, through `require`, which names
the extra if it is missing. Every module can therefore be imported in a base install.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

__all__ = ["EXTRAS", "MissingExtraError", "require", "require_extras"]

_FACES = ("av", "dlib", "face_recognition_models", "PIL", "pyarrow", "scipy")
_TRAIN = (
    "av",
    "PIL",
    "pyarrow",
    "pytorch_lightning",
    "tensorboard",
    "typing_extensions",
    "tyro",
    "yaml",
)
_PLOTS = ("matplotlib", "PIL", "sklearn", "threadpoolctl")

EXTRAS: dict[str, tuple[str, ...]] = {
    "video": ("av", "pytorchvideo"),
    "faces": _FACES,
    "train": _TRAIN,
    "demo": ("kornia", "skimage", *_FACES),
    "plots": _PLOTS,
    "evaluation": ("kornia", "scipy", "torchmetrics", "torchvision", *_PLOTS, *_TRAIN),
    "mosei": ("h5py",),
    "export": ("onnx", "onnxruntime", "onnxscript"),
    "executorch": ("executorch", "torchao"),
    "hf": ("transformers",),
    "ray": ("ray", *_FACES),
    "remote": ("aiobotocore", "fsspec", "s3fs"),
    "stream": ("litdata", "fsspec", "s3fs", *_TRAIN),
}
"""Modules of each extra. Messages name the first extra that has a module."""


class MissingExtraError(ModuleNotFoundError):
    """An optional dependency is not installed; the message says how to install it.

    Recipes print the message without a traceback and exit with status 2.
    """


def require(module: str, purpose: str) -> ModuleType:
    """Imports an optional dependency where it is used.

    Args:
        module: Name of the module, for example "scipy.signal".
        purpose: Use of the module that begins the message, for example "Finding faces".

    Returns:
        The imported module.

    Raises:
        MissingExtraError: If it is not installed, with the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        extra = next((e for e, modules in EXTRAS.items() if package in modules), None)
        # Packages without an extra are for users who already have them, such as
        # loggers.
        target = package if extra is None else f'"lightly-marlin[{extra}]"'
        raise MissingExtraError(
            f"{purpose} needs {package}. Install it with: pip install {target}",
            name=error.name,
        ) from error


def require_extras(purpose: str, *extras: str) -> None:
    """Checks that all modules of some extras are installed, without importing them.

    Args:
        purpose: Work that the extras are needed for, for example "Preparing videos".
        extras: Names of extras of this package.

    Raises:
        MissingExtraError: If modules are missing, with the line that installs them.
    """
    wanted = {module for extra in extras for module in EXTRAS[extra]}
    missing = sorted(module for module in wanted if not _is_installed(module))
    if missing:
        lacking = [extra for extra in extras if {*EXTRAS[extra]} & {*missing}]
        raise MissingExtraError(
            f"{purpose} needs {', '.join(missing)}. Install it with: "
            f'pip install "lightly-marlin[{",".join(lacking)}]"'
        )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        # A finder that hides modules may raise instead of returning None.
        return False
