"""Names of a run's metrics, which trainings log and pictures of them look for."""

from __future__ import annotations

__all__ = [
    "DISCRIMINATOR",
    "GENERATOR",
    "GRADIENT",
    "LOSS",
    "MARLIN_LOSSES",
    "MEAN_COLOR",
    "RECONSTRUCTION",
]

LOSS = "loss/"
"""Beginning of the names of losses."""

GRADIENT = "gradient_norm/"
"""Beginning of the names of the objectives' gradient norms."""

RECONSTRUCTION = "loss/reconstruction"
GENERATOR = "loss/generator_adversarial"
DISCRIMINATOR = "loss/discriminator"

MARLIN_LOSSES = (RECONSTRUCTION, GENERATOR, DISCRIMINATOR)
"""Losses that every pretraining logs; 0 where nothing trains on them."""

MEAN_COLOR = "loss/mean_color"
"""Reconstruction loss of predicting the mean colour of each clip."""
