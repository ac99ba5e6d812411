"""Pictures of masks, reconstructions, faces and stores, for people to look at."""

from lightly_marlin.visualization.example_sheet import (
    Example,
    ExampleRow,
    example_sheet,
)
from lightly_marlin.visualization.histogram_sheet import histogram_sheet
from lightly_marlin.visualization.mask_overlay import mask_overlay
from lightly_marlin.visualization.reconstruction import reconstruction_sheet

__all__ = [
    "Example",
    "ExampleRow",
    "example_sheet",
    "histogram_sheet",
    "mask_overlay",
    "reconstruction_sheet",
]
