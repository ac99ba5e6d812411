"""Losses on plain tensors; each is usable without a MARLIN model."""

from __future__ import annotations

from lightly_marlin.loss.adversarial_loss import MarlinAdversarialLoss
from lightly_marlin.loss.predicted_pixels import denormalize_pixels, motion_to_pixels
from lightly_marlin.loss.reconstruction_loss import (
    MarlinReconstructionLoss,
    ReconstructionParts,
)

__all__ = [
    "MarlinAdversarialLoss",
    "MarlinReconstructionLoss",
    "ReconstructionParts",
    "denormalize_pixels",
    "motion_to_pixels",
]
