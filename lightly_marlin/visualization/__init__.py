"""Pictures of masks, reconstructions, features, faces, stores and runs."""

from lightly_marlin.visualization.embedding_sheet import (
    EmbeddedClip,
    embedding_sheet,
)
from lightly_marlin.visualization.every_mask import draw_every_mask
from lightly_marlin.visualization.example_sheet import (
    Example,
    ExampleRow,
    example_sheet,
)
from lightly_marlin.visualization.face_sheet import (
    FaceCrop,
    FaceMark,
    SheetFrame,
    SheetTrack,
    face_sheet,
)
from lightly_marlin.visualization.feature_maps import (
    FeaturePanels,
    feature_overlay,
    feature_panels,
)
from lightly_marlin.visualization.film_strip import film_strip
from lightly_marlin.visualization.histogram_sheet import histogram_sheet
from lightly_marlin.visualization.mask_gallery import (
    ShownMask,
    mask_animation,
    mask_sheet,
)
from lightly_marlin.visualization.mask_overlay import mask_overlay
from lightly_marlin.visualization.meter_curves import meter_curves
from lightly_marlin.visualization.panels import (
    PanelText,
    moment_captions,
    panel_animation,
    panel_sheet,
    write_gif,
    write_panels,
)
from lightly_marlin.visualization.reconstruction import (
    reconstruction_footer,
    reconstruction_panels,
    reconstruction_sheet,
)
from lightly_marlin.visualization.region_colors import paint_cells, paint_labels
from lightly_marlin.visualization.sync_curve import sync_curve
from lightly_marlin.visualization.training_curves import training_curves

__all__ = [
    "EmbeddedClip",
    "Example",
    "ExampleRow",
    "FaceCrop",
    "FaceMark",
    "FeaturePanels",
    "PanelText",
    "SheetFrame",
    "SheetTrack",
    "ShownMask",
    "draw_every_mask",
    "embedding_sheet",
    "example_sheet",
    "face_sheet",
    "feature_overlay",
    "feature_panels",
    "film_strip",
    "histogram_sheet",
    "mask_animation",
    "mask_overlay",
    "mask_sheet",
    "meter_curves",
    "moment_captions",
    "paint_cells",
    "paint_labels",
    "panel_animation",
    "panel_sheet",
    "reconstruction_footer",
    "reconstruction_panels",
    "reconstruction_sheet",
    "sync_curve",
    "training_curves",
    "write_gif",
    "write_panels",
]
