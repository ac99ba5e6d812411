"""Scores of an expert at telling pairs that are in sync from shifted ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from lightly_marlin.lip_sync.losses.sync_loss import cosine_bce
from lightly_marlin.lip_sync.networks.sync_expert import SyncExpert
from lightly_marlin.utils.evaluation_mode import evaluation_mode

__all__ = ["PairScores", "score_pairs"]


class PairScores(NamedTuple):
    """Scores of an expert.

    Attributes:
        loss: Binary cross-entropy of the cosines, the mean over pairs. Chance is
            ln 2 = 0.69; Wav2Lip trains its expert until about 0.25 [0].
        accuracy: Share of pairs told correctly at a cosine of 0.5, the mean of the
            shares among pairs in sync and shifted pairs; chance is 0.5.
        num_pairs: Number of pairs.

    - [0]: https://github.com/Rudrabha/Wav2Lip
    """

    loss: float
    accuracy: float
    num_pairs: int


def score_pairs(
    expert: SyncExpert, batches: Iterable[tuple[Tensor, Tensor, Tensor]]
) -> PairScores:
    """Measures an expert, in evaluation mode and without gradients.

    Args:
        expert: The expert; its mode is restored.
        batches: Batches of any size, on the expert's device: frames (B, 3, T, H, W),
            mel (B, 1, 80, steps), and bool (B,), whether each pair is in sync.

    Returns:
        The scores.

    Raises:
        ValueError: If there are no pairs in sync, or no shifted ones.
    """
    similarities, labels = [], []
    with evaluation_mode(expert):
        for frames, mel, in_sync in batches:
            similarities.append(expert.similarity(*expert(frames, mel)).cpu())
            labels.append(in_sync.bool().cpu())
    similarity = torch.cat(similarities) if similarities else torch.empty(0)
    label = torch.cat(labels) if labels else torch.empty(0, dtype=torch.bool)
    if not label.any() or label.all():
        raise ValueError(
            f"Pairs in sync and shifted pairs are needed, got {int(label.sum())} and "
            f"{int((~label).sum())}."
        )
    correct = ((similarity > 0.5) == label).double()
    accuracy = (correct[label].mean() + correct[~label].mean()) / 2
    loss = cosine_bce(similarity.double(), label)
    return PairScores(loss.item(), accuracy.item(), len(label))
