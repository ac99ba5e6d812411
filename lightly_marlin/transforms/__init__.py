"""Masking strategies, as functions on batches and as transforms on samples."""

from lightly_marlin.regions import RegionCells
from lightly_marlin.transforms.batch_augmentation import BatchAugmentation
from lightly_marlin.transforms.batch_masking import BatchMasking
from lightly_marlin.transforms.clip_augmentation import ClipAugmentation
from lightly_marlin.transforms.marlin_transform import MarlinTransform
from lightly_marlin.transforms.mask_indices import indices_to_mask, mask_to_indices
from lightly_marlin.transforms.mask_strategy import (
    MaskInputs,
    MaskStrategy,
    MaskVariant,
)
from lightly_marlin.transforms.masks.crfrp import Crfrp, crfrp_token_mask
from lightly_marlin.transforms.masks.fasking import Fasking, fasking_token_mask
from lightly_marlin.transforms.masks.frame import FrameMask, frame_token_mask
from lightly_marlin.transforms.masks.motion import MotionMask, motion_token_mask
from lightly_marlin.transforms.masks.multiblock import (
    MultiblockMask,
    multiblock_token_mask,
)
from lightly_marlin.transforms.masks.random_tubelet import (
    RandomTubeletMask,
    random_tubelet_mask,
)
from lightly_marlin.transforms.masks.tube import TubeMask, tube_token_mask
from lightly_marlin.transforms.mixture import (
    MaskMixture,
    MixtureSchedule,
    mixture_token_mask,
)
from lightly_marlin.transforms.registry import (
    get_mask,
    mask_choices,
    mask_names,
    mask_table,
    register_mask,
    split_mask_name,
    unregister_mask,
)
from lightly_marlin.transforms.running_cell import (
    RunningCellMask,
    running_cell_decoder_mask,
)

__all__ = [
    "BatchAugmentation",
    "BatchMasking",
    "ClipAugmentation",
    "Crfrp",
    "Fasking",
    "FrameMask",
    "MarlinTransform",
    "MaskInputs",
    "MaskMixture",
    "MaskStrategy",
    "MaskVariant",
    "MixtureSchedule",
    "MotionMask",
    "MultiblockMask",
    "RandomTubeletMask",
    "RegionCells",
    "RunningCellMask",
    "TubeMask",
    "crfrp_token_mask",
    "fasking_token_mask",
    "frame_token_mask",
    "get_mask",
    "indices_to_mask",
    "mask_choices",
    "mask_names",
    "mask_table",
    "mask_to_indices",
    "mixture_token_mask",
    "motion_token_mask",
    "multiblock_token_mask",
    "random_tubelet_mask",
    "register_mask",
    "running_cell_decoder_mask",
    "split_mask_name",
    "tube_token_mask",
    "unregister_mask",
]
