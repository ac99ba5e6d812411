"""Degradations of video: what cameras, networks and converters do to faces.

Each takes the frames of a clip and gives frames of the degraded clip; `kept_frames`
and `scale` say how these lie in time and space, so that boxes can be compared.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["DEGRADATIONS", "Degradation"]

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Degradation:
    """A way to make a clip worse.

    Attributes:
        name: Name for tables.
        mild: Whether the tracks must survive it.
        apply: Takes the frames (H, W, 3) of a clip and its frame rate; yields frames.
        scale: Pixels of a degraded frame per pixel of the original.
        frame_rate: Frame rate after it, in frames per second; None for the clip's own.
    """

    name: str
    mild: bool
    apply: Callable[[list[Frame]], Iterator[Frame]]
    scale: float = 1.0
    frame_rate: float | None = None

    def kept_frames(self, num_frames: int, fps: float) -> list[int]:
        """Returns which frames of a clip are left, in order.

        Args:
            num_frames: Frames of the clip.
            fps: Frame rate of the clip in frames per second.
        """
        if self.frame_rate is None or self.frame_rate >= fps:
            return list(range(num_frames))
        count = int(num_frames * self.frame_rate / fps)
        return [int(index * fps / self.frame_rate) for index in range(count)]


def _by_frame(change: Callable[[Frame], Frame]) -> Callable[..., Iterator[Frame]]:
    def apply(frames: list[Frame]) -> Iterator[Frame]:
        return map(change, frames)

    return apply


def _resized(factor: float) -> Callable[..., Iterator[Frame]]:
    def change(frame: Frame) -> Frame:
        height, width = frame.shape[:2]
        size = (round(width * factor), round(height * factor))
        picture = Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR)
        return np.asarray(picture)

    return _by_frame(change)


def _dithered(frame: Frame) -> Frame:
    picture = Image.fromarray(frame)
    palette = picture.quantize(256, method=Image.Quantize.MEDIANCUT)
    dithered = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    return np.asarray(dithered.convert("RGB"))


def _dim_and_dithered(frame: Frame) -> Frame:
    return _dithered((0.35 * frame).astype(np.uint8))


def _jpeg(frame: Frame) -> Frame:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=20)
    return np.asarray(Image.open(file).convert("RGB"))


def _gamma(gamma: float) -> Callable[..., Iterator[Frame]]:
    table = (255 * (np.arange(256) / 255) ** gamma).round().astype(np.uint8)
    return _by_frame(lambda frame: table[frame])


def _grey(frame: Frame) -> Frame:
    return np.asarray(Image.fromarray(frame).convert("L").convert("RGB"))


def _noisy(frames: list[Frame]) -> Iterator[Frame]:
    generator = np.random.default_rng(0)
    for frame in frames:
        noise = generator.normal(0, 20, frame.shape)
        yield np.clip(frame + noise, 0, 255).astype(np.uint8)


def _moved(frame: Frame) -> Frame:
    """Blurs along the rows, over a fortieth of the frame's width."""
    length = max(3, frame.shape[1] // 40)
    before = length // 2
    sides = ((0, 0), (before + 1, length - 1 - before), (0, 0))
    sums = np.pad(frame.astype(np.float32), sides, "edge").cumsum(axis=1)
    blurred = (sums[:, length:] - sums[:, :-length]) / length
    result: Frame = np.rint(blurred).astype(np.uint8)
    return result


def _crf40(frames: list[Frame]) -> Iterator[Frame]:
    """H.264 at a constant rate factor of 40, read back."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "a.mp4")
        height, width = (side // 2 * 2 for side in frames[0].shape[:2])
        with av.open(path, "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "40"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for frame in frames:
                cropped = np.ascontiguousarray(frame[:height, :width])
                picture = av.VideoFrame.from_ndarray(cropped, format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        with av.open(path) as container:
            for decoded in container.decode(video=0):
                yield decoded.to_ndarray(format="rgb24")


def _as_they_are(frames: list[Frame]) -> Iterator[Frame]:
    return iter(frames)


DEGRADATIONS = (
    Degradation("half the size", True, _resized(1 / 2), scale=1 / 2),
    Degradation("12 frames a second", True, _as_they_are, frame_rate=12),
    Degradation("256 colours, dithered", True, _by_frame(_dithered)),
    Degradation("H.264, crf 40", True, _crf40),
    Degradation("black and white", True, _by_frame(_grey)),
    Degradation("gamma 0.4", True, _gamma(0.4)),
    Degradation("gamma 2.2", True, _gamma(2.2)),
    Degradation("a third of the size", False, _resized(1 / 3), scale=1 / 3),
    Degradation("8 frames a second", False, _as_they_are, frame_rate=8),
    Degradation("JPEG, quality 20", False, _by_frame(_jpeg)),
    Degradation("noise, 20 grey levels", False, _noisy),
    Degradation("motion blur", False, _by_frame(_moved)),
    Degradation("a third of the light, dithered", False, _by_frame(_dim_and_dithered)),
)
