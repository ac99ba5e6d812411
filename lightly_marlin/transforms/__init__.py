"""Masking strategies, as functions on batches and as transforms on samples."""

from lightly_marlin.regions import RegionCells
from lightly_marlin.transforms.fasking import fasking_token_mask
from lightly_marlin.transforms.grid_masks import (
    frame_token_mask,
    random_tubelet_mask,
    tube_token_mask,
)
from lightly_marlin.transforms.marlin_transform import MarlinTransform
from lightly_marlin.transforms.mask_indices import indices_to_mask, mask_to_indices
from lightly_marlin.transforms.mask_transforms import (
    Fasking,
    FrameMask,
    RandomTubeletMask,
    TubeMask,
)

__all__ = [
    "Fasking",
    "FrameMask",
    "MarlinTransform",
    "RandomTubeletMask",
    "RegionCells",
    "TubeMask",
    "fasking_token_mask",
    "frame_token_mask",
    "indices_to_mask",
    "mask_to_indices",
    "random_tubelet_mask",
    "tube_token_mask",
]
