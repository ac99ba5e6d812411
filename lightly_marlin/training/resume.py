"""Whether a training can continue from a checkpoint, told before it starts."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import Module

from lightly_marlin.utils.errors import UsageError

__all__ = ["check_checkpoint"]


def check_checkpoint(path: Path, module: Module) -> None:
    """Checks that a checkpoint can be read and fits what is being trained.

    Args:
        path: A checkpoint of the trainer.
        module: What is being trained.

    Raises:
        UsageError: If the file is damaged or holds the weights of something else.
    """
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        saved = {name: value.shape for name, value in weights["state_dict"].items()}
    except Exception as error:
        # Damaged files fail in many ways: zip, pickle, missing keys, odd values.
        raise UsageError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}). Delete it "
            "to start this run anew."
        ) from error
    expected = {name: value.shape for name, value in module.state_dict().items()}
    differing = sorted(
        name
        for name in saved.keys() | expected.keys()
        if saved.get(name) != expected.get(name)
    )
    if differing:
        raise UsageError(
            f"The checkpoint {path} is of another training: {len(differing)} weights "
            f"differ, the first is {differing[0]}. Resume with the settings it was "
            "begun with, or choose another --out."
        )
