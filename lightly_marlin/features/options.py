"""What is extracted from a video, and how."""

from __future__ import annotations

from dataclasses import dataclass

from lightly_marlin.utils.errors import UsageError

__all__ = ["PRECISIONS", "REDUCTIONS", "ExtractionOptions"]

REDUCTIONS = ("none", "mean", "max")
PRECISIONS = ("32", "bf16")


@dataclass(frozen=True)
class ExtractionOptions:
    """How windows are cut from a video, and what becomes of their features.

    Attributes:
        crop_face: Find the main face and encode its crops; otherwise the frames are
            taken as crops: their middle square, resized.
        all_faces: With `crop_face`: every face, not only the main one.
        sample_rate: Every so many frames of the video, one goes into a window.
        stride: From the start of a window to that of the next, in sampled frames.
        reference_windows: The windows of marlin-pytorch 0.3.4 instead of those over
            the whole video; see `WindowCutter`.
        reduction: "none" for every window, "mean" or "max" over the windows of a track.
        keep_seq: Features of every token of a window, not their mean.
        min_face: About the smallest face to look for: its side in source pixels.
    """

    crop_face: bool = False
    all_faces: bool = False
    sample_rate: int = 2
    stride: int = 16
    reference_windows: bool = False
    reduction: str = "none"
    keep_seq: bool = False
    min_face: int = 40

    def __post_init__(self) -> None:
        """Refuses values that mean nothing.

        Raises:
            UsageError: A ValueError, naming the option, its value and what is allowed.
        """
        for name in ("sample_rate", "stride", "min_face"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(
                    f"Invalid {name} ({value!r}). It must be a positive integer."
                )
        if self.reduction not in REDUCTIONS:
            raise UsageError(
                f"Invalid reduction ({self.reduction!r}). Supported values are "
                f"{', '.join(REDUCTIONS)}."
            )
        if self.all_faces and not self.crop_face:
            raise UsageError(
                "Invalid all_faces (True): faces are looked for only with crop_face."
            )
