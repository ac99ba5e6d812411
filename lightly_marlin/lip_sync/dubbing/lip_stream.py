"""Stream of generated lips: crops of a face go in frame by frame, and come out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightly_marlin.lip_sync.dubbing.overlap import average_overlaps, window_starts
from lightly_marlin.lip_sync.networks.generator import LipSyncGenerator
from lightly_marlin.lip_sync.networks.generator_tensors import MEL_STEPS
from lightly_marlin.lip_sync.networks.lower_half import mask_lower_half
from lightly_marlin.lip_sync.networks.wav2lip_generator import Wav2LipGenerator
from lightly_marlin.lip_sync.sound_windows import MEL_BANDS
from lightly_marlin.utils.evaluation_mode import evaluation_mode

__all__ = ["AnyGenerator", "generate_lips"]

AnyGenerator = LipSyncGenerator | Wav2LipGenerator

_WINDOW = 16
"""Frames that are generated together by a generator that takes any number."""

_Frames = npt.NDArray[np.uint8]


def generate_lips(
    generator: AnyGenerator,
    crops: Iterable[_Frames],
    num_frames: int,
    reference: _Frames,
    sound: Callable[[Sequence[int]], Tensor],
    *,
    stride: int | None = None,
    batch_size: int | None = None,
) -> Iterator[_Frames]:
    """Generates a face that speaks a sound, window by window.

    Windows have the encoder's number of frames, MARLIN's 16; overlapping results are
    averaged. A face of fewer frames is prolonged by its last one meanwhile. Memory does
    not grow with the length.

    Args:
        generator: The generator, used in evaluation mode; its mode is restored.
        crops: Crops of the face, frame by frame: uint8 (S, S, 3), RGB.
        num_frames: Their number, at least 1.
        reference: Crop of another moment of the same face, of the same shape, which
            shows the generator what its masked target hides.
        sound: Function from indices of n frames to windows of sound (n, 1, 80, 16).
        stride: Frames between the starts of two windows; None for half a window, or a
            whole one if the generator treats each frame by itself.
        batch_size: Windows that are generated together; None for 1 on a CPU, 4
            elsewhere.

    Yields:
        For each crop, the generated one: uint8 (generator.size, generator.size, 3).

    Raises:
        ValueError: If `stride` or `batch_size` is out of range.
    """
    window = generator.num_frames or _WINDOW
    if stride is None:
        stride = window if generator.num_frames is None else max(1, window // 2)
    device = next(generator.parameters()).device
    if batch_size is None:
        batch_size = 1 if device.type == "cpu" else 4
    if batch_size < 1:
        raise ValueError(f"Invalid batch_size {batch_size}: must be at least 1.")
    starts = window_starts(num_frames, window, stride)

    def results() -> Iterator[tuple[int, Tensor]]:
        cut = zip(starts, _cut(crops, starts, window), strict=True)
        while batch := list(itertools.islice(cut, batch_size)):
            targets = torch.from_numpy(np.stack([clip for _, clip in batch]))
            indices = [
                min(start + place, num_frames - 1)
                for start, _ in batch
                for place in range(window)
            ]
            mel = sound(indices).reshape(len(batch), window, 1, MEL_BANDS, MEL_STEPS)
            clips = _generate(generator, targets, reference, mel)
            first = [start for start, _ in batch]
            # Frames first, as they are averaged one by one.
            yield from zip(first, clips.transpose(1, 2).float().cpu(), strict=True)

    for frame in average_overlaps(results(), num_frames):
        pixels = (255 * frame).round().clamp(0, 255).to(torch.uint8)
        yield pixels.permute(1, 2, 0).numpy()


def _cut(
    crops: Iterable[_Frames], starts: Sequence[int], window: int
) -> Iterator[_Frames]:
    """Yields windows (T, S, S, 3); the last crop fills one that is too short."""
    held: list[_Frames] = []
    first, incoming = 0, iter(crops)
    for start in starts:
        del held[: start - first]
        first = start
        held.extend(itertools.islice(incoming, window - len(held)))
        yield np.stack(held + [held[-1]] * (window - len(held)))


def _generate(
    generator: AnyGenerator, targets: Tensor, reference: _Frames, mel: Tensor
) -> Tensor:
    """Generates clips (B, 3, T, S, S) for targets uint8 (B, T, S, S, 3)."""
    device = next(generator.parameters()).device
    videos = targets.to(device).permute(0, 4, 1, 2, 3)
    picture = torch.tensor(reference, device=device)
    shown = picture.permute(2, 0, 1)[None, :, None].expand_as(videos)
    with evaluation_mode(generator):
        clips: Tensor = generator(mask_lower_half(videos), shown, mel.to(device))
    return clips
