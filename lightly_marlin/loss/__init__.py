"""Losses on plain tensors; each is usable without a MARLIN model."""

from __future__ import annotations

from lightly_marlin.loss.adversarial_loss import MarlinAdversarialLoss
from lightly_marlin.loss.latent_prediction_loss import LatentPredictionLoss
from lightly_marlin.loss.reconstruction_loss import MarlinReconstructionLoss

__all__ = [
    "LatentPredictionLoss",
    "MarlinAdversarialLoss",
    "MarlinReconstructionLoss",
]
