"""Pictures of masks and reconstructions, for people to look at."""

from lightly_marlin.visualization.mask_gallery import (
    mask_animation,
    mask_sheet,
    save_animation,
)
from lightly_marlin.visualization.mask_overlay import mask_overlay
from lightly_marlin.visualization.reconstruction import reconstruction_sheet

__all__ = [
    "mask_animation",
    "mask_overlay",
    "mask_sheet",
    "reconstruction_sheet",
    "save_animation",
]
