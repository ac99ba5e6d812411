"""Panels of a clip as files: a sheet of frames, and a film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from lightly_marlin.utils.files import atomic_write
from lightly_marlin.visualization.animation import write_gif
from lightly_marlin.visualization.panels import PanelText, panel_animation, panel_sheet

__all__ = ["write_panels"]


def write_panels(
    folder: Path,
    name: str,
    panels: Mapping[str, Tensor],
    frames: Sequence[int],
    seconds: float,
    text: PanelText,
) -> None:
    """Writes the first clip of panels as PNG and as GIF.

    Args:
        folder: Where to.
        name: Of the files, without suffix.
        panels: Clips (B, 3, T, H, W) in [0, 1] by caption.
        frames: Indices in [0, T) of the frames of the PNG.
        seconds: How long the T frames last in the GIF.
        text: What stands around the panels.
    """
    with atomic_write(folder / f"{name}.png") as path:
        panel_sheet(panels, frames, text=text).save(path)
    with atomic_write(folder / f"{name}.gif") as path:
        write_gif(path, panel_animation(panels, text=text), seconds)
