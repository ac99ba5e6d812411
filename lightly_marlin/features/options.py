"""Options of feature extraction."""

from __future__ import annotations

from dataclasses import dataclass

from lightly_marlin.store.crop_options import CropOptions
from lightly_marlin.utils.errors import UsageError

__all__ = ["DTYPES", "PRECISIONS", "REDUCTIONS", "ExtractionOptions"]

REDUCTIONS = ("none", "mean", "max")
PRECISIONS = ("32", "bf16")
DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class ExtractionOptions(CropOptions):
    """Options of the windows of a video and of their features.

    They extend `CropOptions`, which apply with `crop_face`. To crop as in training:
    `ExtractionOptions(crop_face=True, **vars(FaceStore(path).crop_options))`.

    Attributes:
        crop_face: Find the main face and encode its crops; otherwise the middle square
            of each frame, resized, serves as the crop.
        all_faces: With `crop_face`, encode every face instead of only the main one.
        sample_rate: Interval between sampled frames, in frames of the video.
        stride: Distance between the starts of consecutive windows, in sampled frames.
        reference_windows: Cut the windows of marlin-pytorch 0.3.4 instead of covering
            the whole video; see `WindowCutter`.
        reduction: "none" for every window, "mean" or "max" over the windows of a track.
        keep_seq: Keep the features of every token of a window instead of their mean.
        pool_tokens: With `keep_seq`, average the tokens of each tubelet over squares of
            this many by this many patches: with 2, 8x14x14 tokens become 8x7x7.
        dtype: Type of the numbers in the files, "float32" or "float16".
    """

    crop_face: bool = False
    all_faces: bool = False
    sample_rate: int = 2
    stride: int = 16
    reference_windows: bool = False
    reduction: str = "none"
    keep_seq: bool = False
    pool_tokens: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Rejects invalid values.

        Raises:
            UsageError: A ValueError, naming the option, its value and what is allowed.
        """
        super().__post_init__()
        self._check_positive("sample_rate", "stride", "pool_tokens")
        for name, allowed in (("reduction", REDUCTIONS), ("dtype", DTYPES)):
            if getattr(self, name) not in allowed:
                raise UsageError(
                    f"Invalid {name} ({getattr(self, name)!r}). Supported values are "
                    f"{', '.join(allowed)}."
                )
        if self.pool_tokens > 1 and not self.keep_seq:
            raise UsageError(
                f"Invalid pool_tokens ({self.pool_tokens}): tokens are kept only with "
                "keep_seq."
            )
        for name in ("all_faces", "align_eyes"):
            if getattr(self, name) and not self.crop_face:
                raise UsageError(
                    f"Invalid {name} (True): faces are looked for only with crop_face."
                )
