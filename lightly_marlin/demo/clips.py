"""Demo clips: a public-domain portrait that talks, generated offline.

With them, everything can be tried without a network or a data set. They show the
portrait of the astronaut Eileen Collins (NASA, public domain) from scikit-image,
animated by a thin-plate spline over its landmarks and filmed by a moving camera, with a
different light and background in every clip.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lightly_marlin.demo.motion import (
    FPS,
    camera_path,
    clip_generator,
    expression_path,
    wave,
)
from lightly_marlin.demo.speech import speech, speech_opening
from lightly_marlin.faces import DlibDetector, DlibLandmarks
from lightly_marlin.utils.dependency import require, require_extras

__all__ = ["DemoClip", "TalkingClip", "demo_clips", "demo_frames", "talking_clips"]

_PURPOSE = "Making demo clips"

# The portrait is enlarged before it is warped: bilinear samples then stay sharp.
_ENLARGEMENT = 2

# Half the shorter side of the view, in distances between the eyes: the face then fills
# about 45 % of it.
_HALF_VIEW = 2.35

# The warp is smooth: it is computed at every n-th pixel and interpolated.
_GRID_STEP = 8

# Smoothing of the warp, in squared distances between the eyes.
_SMOOTHING = 5e-4

_CHUNK = 16


@dataclass(frozen=True)
class DemoClip:
    """A clip of a talking portrait.

    Attributes:
        name: Name that is a valid file name.
        frames: uint8 array with shape (T, H, W, 3), RGB.
        fps: Frames per second.
    """

    name: str
    frames: NDArray[np.uint8]
    fps: float = FPS


@dataclass(frozen=True, kw_only=True)
class TalkingClip(DemoClip):
    """A clip with the speech that its mouth shows.

    Attributes:
        samples: float32 array with shape (640 T,): the sound, 16 kHz, in [-1, 1].
        opening: float64 array with shape (T,): opening of the mouth, see
            `ExpressionCurves`; it is shut below 0.
    """

    samples: NDArray[np.float32]
    opening: NDArray[np.float64]


@dataclass(frozen=True)
class _Portrait:
    """Portrait and the position of its face.

    Attributes:
        image: float32 tensor with shape (3, h, w) in [0, 1].
        centre: float64 array with shape (2,): x, y of the face in pixels.
        unit: Distance between the eyes in pixels.
        landmarks: float64 array with shape (68, 2), from `centre` in units.
    """

    image: Tensor
    centre: NDArray[np.float64]
    unit: float
    landmarks: NDArray[np.float64]


def demo_clips(
    num_clips: int = 12,
    num_frames: int = 64,
    size: tuple[int, int] = (320, 320),
    seed: int = 0,
) -> Iterator[DemoClip]:
    """Makes demo clips, one at a time.

    Args:
        num_clips: Number of clips.
        num_frames: Frames per clip, 25 per second.
        size: Height and width of the frames in pixels.
        seed: Seed of the clips.

    Yields:
        The clips. The i-th one does not depend on their number.

    Raises:
        ValueError: If an argument is below its minimum.
    """
    for index in _indices(num_clips):
        frames = demo_frames(index, num_frames=num_frames, size=size, seed=seed)
        yield DemoClip(name=f"demo_{index:02d}", frames=frames)


def talking_clips(
    num_clips: int = 12,
    num_frames: int = 64,
    size: tuple[int, int] = (320, 320),
    seed: int = 0,
) -> Iterator[TalkingClip]:
    """Makes demo clips with sound, one at a time.

    They are those of `demo_clips`, but for the mouth: it speaks irregular syllables,
    which are heard; see `demo.speech`.

    Args:
        num_clips: Number of clips.
        num_frames: Frames per clip, 25 per second.
        size: Height and width of the frames in pixels.
        seed: Seed of the clips.

    Yields:
        The clips. The i-th one does not depend on their number.

    Raises:
        ValueError: If an argument is below its minimum.
    """
    for index in _indices(num_clips):
        opening = speech_opening(index, num_frames, seed)
        frames = demo_frames(
            index, num_frames=num_frames, size=size, seed=seed, opening=opening
        )
        yield TalkingClip(
            name=f"talking_{index:02d}",
            frames=frames,
            samples=speech(index, num_frames, seed),
            opening=opening,
        )


def demo_frames(
    index: int,
    *,
    num_frames: int = 64,
    size: tuple[int, int] = (320, 320),
    seed: int = 0,
    opening: NDArray[np.float64] | None = None,
) -> NDArray[np.uint8]:
    """Makes the frames of one demo clip.

    Args:
        index: Index of the clip, from 0.
        num_frames: Number of frames; a longer clip starts with the same frames as a
            shorter one.
        size: Height and width in pixels, each at least 64.
        seed: Seed of the clip.
        opening: Opening of the mouth in place of the clip's own, float64 (num_frames,);
            see `ExpressionCurves`.

    Returns:
        uint8 array with shape (num_frames, height, width, 3), RGB.

    Raises:
        ValueError: If an argument is below its minimum.
    """
    for name, value, minimum in (
        ("index", index, 0),
        ("num_frames", num_frames, 1),
        ("height", size[0], 64),
        ("width", size[1], 64),
        ("seed", seed, 0),
    ):
        if value < minimum:
            raise ValueError(f"Invalid {name} {value}: must be at least {minimum}.")
    require_extras(_PURPOSE, "demo")
    geometry = require("kornia.geometry.transform", _PURPOSE)
    generator = clip_generator(index, seed)
    seconds = np.arange(num_frames) / FPS
    portrait = _portrait()
    expressions = expression_path(portrait.landmarks, generator, seconds, opening)
    cameras = camera_path(generator, seconds)
    brightness = 1 + 0.06 * wave(generator, seconds, 0.1, 0.5)
    flipped = generator.random() < 0.5
    scene = _light(portrait, generator)
    frames = np.empty((num_frames, *size, 3), dtype=np.uint8)
    for start in range(0, num_frames, _CHUNK):
        rows = slice(start, start + _CHUNK)
        map_x, map_y = _sources(portrait, expressions[rows], cameras[rows], size)
        images = geometry.remap(
            scene.expand(len(map_x), -1, -1, -1),
            map_x,
            map_y,
            padding_mode="reflection",
            align_corners=True,
        )
        images *= torch.from_numpy(brightness[rows]).float()[:, None, None, None]
        images = images.flip(-1) if flipped else images
        pixels = images.clamp_(0, 1).mul_(255).round_().to(torch.uint8)
        frames[rows] = pixels.permute(0, 2, 3, 1).numpy()
    return frames


def _indices(num_clips: int) -> range:
    if num_clips < 0:
        raise ValueError(f"Invalid num_clips {num_clips}: must be at least 0.")
    return range(num_clips)


@functools.cache
def _portrait() -> _Portrait:
    """Loads the portrait and finds its landmarks."""
    data = require("skimage.data", _PURPOSE)
    photo = Image.fromarray(data.astronaut())
    width, height = (_ENLARGEMENT * side for side in photo.size)
    large = photo.resize((width, height), Image.Resampling.LANCZOS)
    luma = np.asarray(large.convert("L"))
    face = DlibDetector()(luma)[0]
    points = DlibLandmarks()(luma, face.box[None])[0].astype(np.float64)
    unit = float(
        np.linalg.norm(points[42:48].mean(axis=0) - points[36:42].mean(axis=0))
    )
    centre = points.mean(axis=0)
    image = torch.from_numpy(np.asarray(large, dtype=np.float32) / 255)
    return _Portrait(
        image=image.permute(2, 0, 1).contiguous(),
        centre=centre,
        unit=unit,
        landmarks=(points - centre) / unit,
    )


def _offsets(portrait: _Portrait) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns x (1, w) and y (h, 1) of the pixels relative to the face, in units."""
    height, width = portrait.image.shape[-2:]
    x = (np.arange(width)[None] - portrait.centre[0]) / portrait.unit
    y = (np.arange(height)[:, None] - portrait.centre[1]) / portrait.unit
    return x, y


def _light(portrait: _Portrait, generator: np.random.Generator) -> Tensor:
    """Relights the portrait: background, lamp, gamma, tint.

    Returns:
        float32 tensor with shape (3, h, w).
    """
    x, y = _offsets(portrait)
    image = portrait.image
    # 0 on head and collar, 1 around them.
    radius = np.sqrt(np.square(x / 2.0) + np.square((y + 0.2) / 2.3))
    around = np.clip((radius - 1.0) / 0.25, 0, 1) * np.clip((1.6 - y) / 0.5, 0, 1)
    colours = generator.uniform(0.15, 0.85, size=(2, 3, 1, 1))
    angle = generator.uniform(0, 2 * np.pi)
    ramp = 0.5 + 0.5 * np.tanh(0.5 * (x * np.cos(angle) + y * np.sin(angle)))
    backdrop = colours[0] * (1 - ramp) + colours[1] * ramp
    share = torch.from_numpy(generator.uniform(0.3, 0.7) * around).float()
    image = image * (1 - share) + torch.from_numpy(backdrop).float() * share

    lamp = generator.uniform(0, 2 * np.pi)
    slope = np.tanh(0.6 * (x * np.cos(lamp) + y * np.sin(lamp)))
    level = generator.uniform(0.75, 0.95) * (1 + generator.uniform(0.05, 0.2) * slope)
    tint = torch.from_numpy(generator.uniform(0.9, 1.1, size=(3, 1, 1))).float()
    gamma = float(generator.uniform(0.8, 1.3))
    return (image**gamma * tint * torch.from_numpy(level).float()).clamp_(0, 1)


def _sources(
    portrait: _Portrait,
    expressions: NDArray[np.float64],
    cameras: NDArray[np.float64],
    size: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Returns the origin in the portrait of every pixel of every frame.

    The thin-plate spline is SciPy's: kornia's `get_tps_transform` evaluates its kernel
    between the two point sets instead of within one, and that system is singular if a
    point moves by the distance to its neighbour, as eyelids do.

    Args:
        portrait: The portrait.
        expressions: float64 array with shape (T, 68, 2): the moved landmarks.
        cameras: float64 array with shape (T, 2, 3): the camera's maps.
        size: Height and width of the frames.

    Returns:
        Coordinates x and y in pixels of the portrait: float32 tensors with shape
        (T, height, width).
    """
    rbf = require("scipy.interpolate", _PURPOSE).RBFInterpolator
    view, anchors = _view_points(size), _anchors()
    rest = np.concatenate([portrait.landmarks, anchors])
    rows, columns = _grid_size(size)
    coarse = np.empty((len(cameras), rows, columns, 2))
    for frame, (expression, camera) in enumerate(
        zip(expressions, cameras, strict=True)
    ):
        points = _HALF_VIEW * (view @ camera[:, :2].T + camera[:, 2])
        moved = np.concatenate([expression, anchors])
        spline = rbf(moved, rest, smoothing=_SMOOTHING, kernel="thin_plate_spline")
        sources = spline(points) * portrait.unit + portrait.centre
        coarse[frame] = sources.reshape(rows, columns, 2)
    maps = torch.from_numpy(coarse).permute(0, 3, 1, 2).float()
    maps = functional.interpolate(maps, size=size, mode="bilinear", align_corners=True)
    return maps[:, 0], maps[:, 1]


def _grid_size(size: tuple[int, int]) -> tuple[int, int]:
    rows, columns = (side // _GRID_STEP + 1 for side in size)
    return rows, columns


def _view_points(size: tuple[int, int]) -> NDArray[np.float64]:
    """Returns the coarse grid of the view (n, 2); the shorter side is 2."""
    shorter = min(size)
    y, x = (
        np.linspace(-1, 1, count) * (side - 1) / shorter
        for side, count in zip(size, _grid_size(size), strict=True)
    )
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    return np.stack([grid_x, grid_y], axis=-1).reshape(-1, 2)


def _anchors() -> NDArray[np.float64]:
    """Returns fixed points (n, 2) around the head, in units."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return np.concatenate([circle * (1.9, 2.2) - (0, 0.2), circle * 4.5])
