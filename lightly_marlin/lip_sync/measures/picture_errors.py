"""Differences between real and generated pictures, pixel by pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from lightly_marlin.lip_sync.measures.same_moments import Moment
from lightly_marlin.lip_sync.networks.lower_half import lower_half

__all__ = ["PICTURE_MEASURES", "PictureErrors"]

PICTURE_MEASURES = ("l1_mouth", "l1_face", "l1_frame", "ssim_face")
"""L1 of the lower half of the face crop, of the whole crop and of the frame, and the
structural similarity of the crop."""

_BATCH = 16


class PictureErrors:
    """Mean absolute errors and structural similarity of a video's pictures.

    Errors are of pixels in [0, 1], means over pixels, colours and frames. The
    structural similarity is torchmetrics', with a Gaussian window of 11×11 pixels [0];
    of face crops, it depends on their size.

    - [0]: Image Quality Assessment: From Error Visibility to Structural Similarity,
      2004, https://doi.org/10.1109/TIP.2003.819861
    """

    def __init__(self) -> None:
        self._sums = dict.fromkeys(PICTURE_MEASURES, 0.0)
        self._count = 0
        self._waiting: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]] = []

    def update(self, moment: Moment) -> None:
        """Takes the pictures of one moment.

        Args:
            moment: Pictures of one size.

        Raises:
            ValueError: If the generated picture has another size.
        """
        if moment.generated_crop is None:
            raise ValueError(
                f"Invalid shape {moment.generated.shape} of the generated frame. It "
                f"must be that of the real one, {moment.real.shape}."
            )
        self._count += 1
        # Frames may be large: no batch of them is kept.
        frames = moment.real.astype(np.int16) - moment.generated
        self._sums["l1_frame"] += float(np.abs(frames, out=frames).mean()) / 255
        self._waiting.append((moment.real_crop, moment.generated_crop))
        if len(self._waiting) == _BATCH:
            self._compare_crops()

    def compute(self) -> dict[str, float]:
        """Returns the measures by name, see `PICTURE_MEASURES`.

        Raises:
            ValueError: If there was no picture.
        """
        if not self._count:
            raise ValueError("There is no picture to compare.")
        self._compare_crops()
        return {name: value / self._count for name, value in self._sums.items()}

    def _compare_crops(self) -> None:
        if not self._waiting:
            return
        real, generated = map(_pixels, zip(*self._waiting, strict=True))
        errors = (real - generated).abs()
        similarity = structural_similarity_index_measure(
            generated, real, data_range=1.0
        )
        assert isinstance(similarity, Tensor)
        for name, value in (
            ("l1_face", errors.mean()),
            ("l1_mouth", lower_half(errors).mean()),
            ("ssim_face", similarity),
        ):
            self._sums[name] += float(value) * len(real)
        self._waiting.clear()


def _pixels(crops: tuple[npt.NDArray[np.uint8], ...]) -> Tensor:
    """Returns crops as a tensor (B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
