"""Pictures of masks and reconstructions, for people to look at."""

from lightly_marlin.visualization.mask_overlay import mask_overlay
from lightly_marlin.visualization.reconstruction import reconstruction_sheet

__all__ = ["mask_overlay", "reconstruction_sheet"]
