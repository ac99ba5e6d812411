"""Lip-sync error of a set of videos: LSE-D, LSE-C and offset."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric

from lightly_marlin.lip_sync.measures.sync_scores import MAX_SHIFT, sync_score
from lightly_marlin.lip_sync.measures.syncnet import SyncNet
from lightly_marlin.lip_sync.measures.video_sync import video_sync_distances

__all__ = ["LipSyncError"]


class LipSyncError(Metric):  # type: ignore[misc]
    """Measures how well lips and speech fit together, as SyncNet sees and hears them.

    LSE-D and LSE-C [0] are means over videos. The offset of the set is the median of
    the videos' offsets, of two in the middle the lower one: one video whose speech is
    not found has any offset, and a mean would show it.

    Scores depend on how the faces are cut out, so compare them only with those of the
    real videos, cut out alike. Videos shorter than 6 frames at 25 per second have no
    score: they are counted, and left out.

    Example:
        >>> metric = LipSyncError(SyncNet.from_file("syncnet_v2.model"))
        >>> metric.update(frames, samples, 25.0)
        >>> metric.compute()["lse_d"]

    - [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild,
      2020, https://arxiv.org/abs/2008.10010

    Args:
        syncnet: The network; frozen.
        batch_size: Windows of five frames that are computed at once.
        **options: Options of `torchmetrics.Metric`.
    """

    is_differentiable = False
    full_state_update = False

    lse_d_sum: Tensor
    lse_c_sum: Tensor
    offset_counts: Tensor
    too_short: Tensor

    def __init__(
        self, syncnet: SyncNet, *, batch_size: int = 16, **options: Any
    ) -> None:
        super().__init__(**options)
        self.syncnet = syncnet
        self.batch_size = batch_size
        offsets = torch.zeros(2 * MAX_SHIFT + 1, dtype=torch.int64)
        states = {
            "lse_d_sum": torch.zeros((), dtype=torch.float64),
            "lse_c_sum": torch.zeros((), dtype=torch.float64),
            "offset_counts": offsets,
            "too_short": torch.zeros((), dtype=torch.int64),
        }
        for name, value in states.items():
            self.add_state(name, value, dist_reduce_fx="sum")

    def update(
        self,
        frames: npt.NDArray[np.uint8] | Tensor,
        samples: npt.NDArray[Any] | Tensor,
        fps: float,
    ) -> None:
        """Measures one video; arguments as for `video_sync_distances`.

        Args:
            frames: uint8 array or tensor (T, H, W, 3), RGB.
            samples: Floating-point array or tensor (n,), 16 kHz, in [-1, 1]; the first
                sounds with the first frame.
            fps: Frames per second.

        Raises:
            ValueError: If an argument has another shape, type or range.
        """
        distances = video_sync_distances(
            self.syncnet, frames, samples, fps, batch_size=self.batch_size
        )
        if distances is None:
            self.too_short += 1
            return
        score = sync_score(distances)
        self.lse_d_sum += score.lse_d
        self.lse_c_sum += score.lse_c
        self.offset_counts[MAX_SHIFT + score.offset] += 1

    def compute(self) -> dict[str, Tensor]:
        """Returns the scores of all videos.

        Returns:
            Scalar tensors: "lse_d" and "lse_c" (means), "offset" (median, in frames;
            positive if the sound comes before its picture), all NaN without a video;
            "videos" and "too_short", the numbers of those measured and left out.
        """
        videos = self.offset_counts.sum()
        reached = self.offset_counts.cumsum(0) * 2 >= videos
        offset = reached.int().argmax().double() - MAX_SHIFT
        return {
            "lse_d": self.lse_d_sum / videos,
            "lse_c": self.lse_c_sum / videos,
            "offset": torch.where(videos > 0, offset, torch.nan),
            "videos": videos,
            "too_short": self.too_short.clone(),
        }
