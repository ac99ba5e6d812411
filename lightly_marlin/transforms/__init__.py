"""Masking strategies, as functions on batches and as transforms on samples."""

from lightly_marlin.regions import RegionCells
from lightly_marlin.transforms.crfrp import crfrp_token_mask
from lightly_marlin.transforms.fasking import fasking_token_mask
from lightly_marlin.transforms.grid_masks import (
    frame_token_mask,
    random_tubelet_mask,
    tube_token_mask,
)
from lightly_marlin.transforms.marlin_transform import MarlinTransform
from lightly_marlin.transforms.mask_indices import indices_to_mask, mask_to_indices
from lightly_marlin.transforms.mask_transforms import (
    Crfrp,
    Fasking,
    FrameMask,
    MotionMask,
    RandomTubeletMask,
    RunningCellMask,
    TubeMask,
)
from lightly_marlin.transforms.mixture import (
    MaskMixture,
    MixtureSchedule,
    mixture_token_mask,
)
from lightly_marlin.transforms.motion_mask import motion_token_mask
from lightly_marlin.transforms.running_cell import running_cell_decoder_mask

__all__ = [
    "Crfrp",
    "Fasking",
    "FrameMask",
    "MarlinTransform",
    "MaskMixture",
    "MixtureSchedule",
    "MotionMask",
    "RandomTubeletMask",
    "RegionCells",
    "RunningCellMask",
    "TubeMask",
    "crfrp_token_mask",
    "fasking_token_mask",
    "frame_token_mask",
    "indices_to_mask",
    "mask_to_indices",
    "mixture_token_mask",
    "motion_token_mask",
    "random_tubelet_mask",
    "running_cell_decoder_mask",
    "tube_token_mask",
]
