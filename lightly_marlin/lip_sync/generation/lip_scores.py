"""Scores of a generator on clips that are held out, beside what needs no generator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.lip_sync.dubbing.lip_stream import AnyGenerator
from lightly_marlin.lip_sync.generation.generator_training import draw_lips
from lightly_marlin.lip_sync.generation.lip_clips import FixedLipClips, LipClip
from lightly_marlin.lip_sync.losses.sync_loss import cosine_bce
from lightly_marlin.lip_sync.networks.lower_half import lower_half
from lightly_marlin.lip_sync.networks.sync_expert import SyncExpert
from lightly_marlin.utils.evaluation_mode import evaluation_mode

__all__ = ["ClipScores", "LipScores", "StillMouths", "score_lips"]


class ClipScores(NamedTuple):
    """Scores of every clip, float64 tensors (n,).

    Attributes:
        l1: Mean absolute error of the lower half, of pixels in [0, 1].
        mouth: The same where the mouth is; of the lower half if none was found.
        still_mouth: Error there of the mean of the track's other frames.
        sync: Mean cosine, by the expert, of the generated lips and their sound; NaN
            without an expert.
        other_sync: The same of these lips and the sound of another track.
        sync_loss: Mean of -ln cosine of the generated lips and their sound.
        reference_mouth: Error there of the reference as it is, which stands still.
        other_mouth: Error there of what is generated for the sound of another track.
    """

    l1: Tensor
    mouth: Tensor
    still_mouth: Tensor
    sync: Tensor
    other_sync: Tensor
    sync_loss: Tensor
    reference_mouth: Tensor
    other_mouth: Tensor


class LipScores(NamedTuple):
    """Means over clips, and shares of clips; see `ClipScores`.

    Attributes:
        l1: Error of the lower half.
        mouth: Error of the mouth.
        still_mouth: Error of the mean of a track's other frames as the mouth.
        mouth_better: Share of clips whose mouth is closer to the truth than that mean.
        sync: Cosine of lips and their sound.
        other_sync: Cosine of lips and the sound of another track.
        sync_better: Share of clips that fit their sound better than another.
        sync_loss: Sync loss.
        reference_mouth: Error of the reference's mouth.
        other_mouth: Error of the mouth that is generated for another track's sound.
        sound_better: Share of clips whose mouth is closer to the truth with their own
            sound: whether it is the sound that moves the mouth, without an expert.
    """

    l1: float
    mouth: float
    still_mouth: float
    mouth_better: float
    sync: float
    other_sync: float
    sync_better: float
    sync_loss: float
    reference_mouth: float
    other_mouth: float
    sound_better: float

    @classmethod
    def of(cls, clips: ClipScores) -> LipScores:
        """Summarises the scores of clips."""
        has_sync = not clips.sync.isnan().any()
        better = (clips.sync > clips.other_sync).double().mean().item()
        return cls(
            l1=clips.l1.mean().item(),
            mouth=clips.mouth.mean().item(),
            still_mouth=clips.still_mouth.mean().item(),
            mouth_better=(clips.mouth < clips.still_mouth).double().mean().item(),
            sync=clips.sync.mean().item(),
            other_sync=clips.other_sync.mean().item(),
            sync_better=better if has_sync else float("nan"),
            sync_loss=clips.sync_loss.mean().item(),
            reference_mouth=clips.reference_mouth.mean().item(),
            other_mouth=clips.other_mouth.mean().item(),
            sound_better=(clips.mouth < clips.other_mouth).double().mean().item(),
        )


class StillMouths:
    """Errors of the mean frame, computed once: they need no generator.

    Args:
        clips: The clips.
        size: Height and width in pixels at which frames are compared.
    """

    def __init__(self, clips: FixedLipClips, size: int) -> None:
        self.clips = clips
        self.size = size
        self._errors: dict[int, float] = {}

    def error(self, number: int, target: Tensor, where: Tensor) -> float:
        """Returns the error of a clip.

        Args:
            number: Number of the clip.
            target: The true frames (3, T, S, S) in [0, 1].
            where: Weights (T, S, S) of pixels.
        """
        if number not in self._errors:
            others = fit_frames(self.clips.other_frames(number), self.size)
            still = others.float().mean(dim=1, keepdim=True).to(target.device) / 255
            self._errors[number] = _weighted_error(still, target, where)
        return self._errors[number]


def score_lips(
    generator: AnyGenerator,
    clips: FixedLipClips,
    still: StillMouths,
    expert: SyncExpert | None = None,
    *,
    batch_size: int = 4,
) -> ClipScores:
    """Scores a generator, in evaluation mode and without gradients.

    Args:
        generator: The generator; its mode is restored.
        clips: The clips.
        still: Errors of their mean frames, at the generator's `size`.
        expert: The expert, on the generator's device; its mode is restored.
        batch_size: Clips that are generated at once.

    Returns:
        The scores.
    """
    rows: list[tuple[float, float, float, float, float]] = []
    other_tracks = _other_tracks(clips)
    lips: list[Tensor] = []
    sounds: list[Tensor] = []
    with evaluation_mode(generator):
        for batch in _batches(generator, clips, batch_size):
            generated = draw_lips(generator, batch).float()
            others = [other_tracks[len(rows) + k] for k in range(len(generated))]
            sound = torch.stack([clips.mel(k) for k in others]).to(batch.mel)
            misled = draw_lips(generator, batch._replace(mel=sound)).float()
            pictures = [
                fit_frames(part.float() / 255, generator.size)
                for part in (batch.target, batch.reference)
            ]
            for clip, other, target, reference, mouths in zip(
                generated, misled, *pictures, batch.mouths, strict=True
            ):
                where = _mouth_weights(mouths, generator.size)
                rows.append(
                    (
                        lower_half((clip - target).abs()).mean().item(),
                        _weighted_error(clip, target, where),
                        still.error(len(rows), target, where),
                        _weighted_error(reference, target, where),
                        _weighted_error(other, target, where),
                    )
                )
            if expert is not None:
                with evaluation_mode(expert):
                    seen, heard = _embeddings(expert, generated, batch.sounds)
                lips.append(seen)
                sounds.append(heard)
    l1, *mouths = torch.tensor(rows, dtype=torch.float64).T
    mouth, still_mouth, reference_mouth, other_mouth = mouths
    if expert is None:
        unknown = torch.full_like(l1, float("nan"))
        none = unknown, unknown, unknown
        return ClipScores(l1, mouth, still_mouth, *none, reference_mouth, other_mouth)
    video, audio = torch.cat(lips), torch.cat(sounds)
    right = expert.similarity(video, audio)
    other = expert.similarity(video, audio[other_tracks])
    losses = [cosine_bce(row, torch.ones_like(row)) for row in right]
    sync, other_sync = (x.double().mean(dim=1).cpu() for x in (right, other))
    loss = torch.stack(losses).double().cpu()
    rest = reference_mouth, other_mouth
    return ClipScores(l1, mouth, still_mouth, sync, other_sync, loss, *rest)


def _batches(
    generator: AnyGenerator, clips: FixedLipClips, batch_size: int
) -> Iterator[LipClip]:
    device = next(generator.parameters()).device
    for batch in DataLoader(clips, batch_size=batch_size):
        yield LipClip(*(part.to(device) for part in batch))


def _embeddings(
    expert: SyncExpert, generated: Tensor, sounds: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns embeddings (B, n, E) of the expert's windows in clips (B, 3, T, S, S)."""
    windows = generated.unfold(2, expert.num_frames, 1).permute(0, 2, 1, 5, 3, 4)
    pairs = expert(windows.flatten(0, 1), sounds.flatten(0, 1))
    seen, heard = (part.reshape(*sounds.shape[:2], -1) for part in pairs)
    return seen, heard


def _other_tracks(clips: FixedLipClips) -> list[int]:
    """Returns for every clip the next one of another track, or of the same if alone."""
    tracks = [track for track, _ in clips.places]
    return [_next_other(tracks, number) for number in range(len(tracks))]


def _next_other(tracks: Sequence[int], number: int) -> int:
    count = len(tracks)
    following = [(number + k) % count for k in range(1, count)]
    others = [k for k in following if tracks[k] != tracks[number]]
    return (others or following or [number])[0]


def _mouth_weights(mouths: Tensor, size: int) -> Tensor:
    """Returns weights (T, size, size) of pixels for cells (T, h, w) of mouths."""
    if mouths.any():
        cells = mouths.float()[None]
        return F.interpolate(cells, (size, size), mode="nearest")[0]
    weights = torch.zeros(len(mouths), size, size, device=mouths.device)
    lower_half(weights).fill_(1)
    return weights


def _weighted_error(clip: Tensor, target: Tensor, where: Tensor) -> float:
    error = (clip - target).abs().mean(dim=0)
    return ((error * where).sum() / where.sum()).item()
