"""Fréchet Inception distance between frames of real and of generated videos."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from lightly_marlin.lip_sync.measures.inception import FidInception

__all__ = ["FrameFid", "feature_fid", "frame_fid"]

_PUBLISHED_FEATURES = 2048


class FrameFid(FrechetInceptionDistance):  # type: ignore[misc]
    """Fréchet distance of Gaussians, fitted to the features of two sets of frames [0].

    Torchmetrics accumulates and computes in float64, with covariances over n - 1; the
    result is float32. The network, ours, gets the images as they are: in [0], too, they
    are scaled without antialiasing, unlike by torchmetrics' own network.

    Compare distances only of the same choice of frames or face crops, and of equally
    many: it is biased, and the fewer, the greater it is.

    - [0]: https://github.com/mseitzer/pytorch-fid

    Example:
        >>> fid = frame_fid(FidInception.from_file(path))
        >>> fid.update(real_images, real=True)  # (B, 3, H, W)
        >>> fid.update(generated_images, real=False)
        >>> fid.compute()
    """

    @property
    def metric_name(self) -> str:
        """Name of the result: "fid", and of other features than 2048 "fid_768"."""
        features = self.inception.num_features
        return "fid" if features == _PUBLISHED_FEATURES else f"fid_{features}"

    def compute(self) -> Tensor:
        """Returns the distance, at least 0 but for rounding.

        Warns:
            UserWarning: If there are fewer images than features, in either set.

        Raises:
            RuntimeError: If a set has fewer than two images.
        """
        features = self.inception.num_features
        fewest = min(
            int(self.real_features_num_samples), int(self.fake_features_num_samples)
        )
        if fewest < features:
            warnings.warn(
                f"{self.metric_name} of {fewest} images: fewer than {features}, so the "
                "covariance is singular, and the distance is too great. Give more "
                "frames, or choose fewer features, which is another measure.",
                stacklevel=2,
            )
        distance: Tensor = super().compute()
        return distance


def frame_fid(inception: FidInception, **options: Any) -> FrameFid:
    """Makes the metric that compares frames of real and of generated videos.

    Args:
        inception: The network with its weights.
        **options: Options of `torchmetrics.Metric`, and `reset_real_features`.

    Returns:
        A metric: `update(images, real=True | False)` with images as for `FidInception`,
        and `compute()`.
    """
    return FrameFid(feature=inception, normalize=True, **options)


def feature_fid(
    real: Iterable[Tensor], generated: Iterable[Tensor], num_features: int
) -> float:
    """Returns the distance of two sets of images whose features are known.

    Args:
        real: Features (n, num_features) of real images, as `FidInception` returns them,
            in parts of any length, at least two images in all.
        generated: Those of generated images.
        num_features: Number of features of an image.

    Returns:
        The distance, as `FrameFid` computes it.

    Warns:
        UserWarning: If there are fewer images than features, in either set.

    Raises:
        ValueError: If a set has fewer than two images.
    """
    fid = FrameFid(feature=_Known(num_features), normalize=True)
    for parts, is_real in ((real, True), (generated, False)):
        for features in parts:
            fid.update(features, real=is_real)
    fewest = min(int(fid.real_features_num_samples), int(fid.fake_features_num_samples))
    if fewest < 2:
        raise ValueError(f"needs two images of either kind, got {fewest}")
    return float(fid.compute())


class _Known(nn.Module):
    """Stands in for the network where features are known."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features
