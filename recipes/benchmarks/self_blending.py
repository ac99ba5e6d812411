"""Self-blended frames: a face that is pasted on itself, with the traces of pasting.

- [0]: Detecting Deepfakes with Self-Blended Images, 2022 (the idea)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import kornia
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull
from torch import Tensor
from torch.nn import functional

__all__ = ["METHODS", "Method", "fake_frames"]

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Method:
    """Strengths of a way to make fakes. Lengths are shares of the eyes' distance.

    Attributes:
        region: First and last + 1 of the landmarks around which the mask is drawn.
        size: Size of the mask relative to the hull of these landmarks.
        warp: Largest shift of the face; its rotation in radians and change of size
            are as large.
        wobble: Amplitude of a shift that changes over time.
        colour: Largest change of a colour channel, relative.
        blur: Standard deviation of the blur that takes detail from the face.
        edge: Standard deviation of the blur of the mask.
    """

    region: tuple[int, int]
    size: float
    warp: float
    wobble: float
    colour: float
    blur: float
    edge: float


METHODS = {
    "Deepfakes": Method((0, 68), 0.95, 0.04, 0.01, 0.07, 0.03, 0.10),
    "Face2Face": Method((17, 68), 1.10, 0.06, 0.02, 0.04, 0.02, 0.07),
    "FaceSwap": Method((0, 68), 0.90, 0.05, 0.03, 0.08, 0.015, 0.04),
    "NeuralTextures": Method((48, 68), 1.70, 0.06, 0.02, 0.05, 0.03, 0.08),
}
"""Methods by the name of their folder."""


def fake_frames(
    frames: Frames,
    landmarks: NDArray[np.floating],
    method: Method,
    generator: np.random.Generator,
    fps: float = 25.0,
) -> Frames:
    """Pastes the face of each frame on itself.

    Args:
        frames: uint8 array with shape (T, H, W, 3), RGB.
        landmarks: Array with shape (T, 68, 2): x, y in pixels.
        method: Strengths of the change.
        generator: Source of all that is drawn, once per video.
        fps: Frames per second.

    Returns:
        uint8 array of the same shape; equal to `frames` away from the face.
    """
    eyes = landmarks[:, 42:48].mean(axis=1) - landmarks[:, 36:42].mean(axis=1)
    unit = float(np.linalg.norm(eyes, axis=1).mean())
    rows, columns = _surroundings(landmarks, unit, frames.shape)
    landmarks = landmarks - [columns.start, rows.start]
    cut = torch.from_numpy(frames[:, rows, columns])
    images = cut.permute(0, 3, 1, 2).float()
    face = _warped(images, landmarks, method, unit, generator, fps)
    face = _blurred(face, method.blur * unit)
    gain = 1 + _strengths(generator, method.colour, 3)
    face = face * torch.from_numpy(gain).float()[:, None, None]
    mask = _blurred(_masks(cut.shape, landmarks, method), method.edge * unit)
    mixed = images.lerp(face, mask).round_().clamp_(0, 255).to(torch.uint8)
    result: Frames = frames.copy()
    result[:, rows, columns] = mixed.permute(0, 2, 3, 1).numpy()
    return result


def _surroundings(
    landmarks: NDArray[np.floating], unit: float, shape: Sequence[int]
) -> tuple[slice, slice]:
    """Returns the rows and columns that the face, its mask and blurs reach."""
    low = landmarks.min(axis=(0, 1)) - unit
    high = landmarks.max(axis=(0, 1)) + unit + 1
    left, top = np.maximum(low, 0).astype(int).tolist()
    right, bottom = np.minimum(high, [shape[2], shape[1]]).astype(int).tolist()
    return slice(top, bottom), slice(left, right)


def _strengths(
    generator: np.random.Generator, limit: float, count: int
) -> NDArray[np.float64]:
    """Draws numbers of either sign between half the limit and the limit."""
    signs = generator.choice([-1.0, 1.0], count)
    return signs * generator.uniform(limit / 2, limit, count)


def _warped(
    images: Tensor,
    landmarks: NDArray[np.floating],
    method: Method,
    unit: float,
    generator: np.random.Generator,
    fps: float,
) -> Tensor:
    """Moves, turns and resizes the face about its centre, a little."""
    count, _, height, width = images.shape
    angle, growth, *shift = _strengths(generator, method.warp, 4)
    seconds = np.arange(count)[:, None] / fps
    speeds, phases = generator.uniform(0.5, 2, 2), generator.uniform(0, 2 * np.pi, 2)
    path = method.wobble * np.sin(2 * np.pi * (speeds * seconds + phases))
    moves = unit * (np.array(shift) + path)
    turn = (1 + growth) * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    # affine_grid counts from -1 to 1 between the middles of the outer pixels.
    half = (np.array([width, height]) - 1) / 2
    centres = landmarks.mean(axis=1) - half
    theta = np.empty((count, 2, 3))
    theta[:, :, :2] = turn * half / half[:, None]
    theta[:, :, 2] = (centres - centres @ turn.T + moves) / half
    grid = functional.affine_grid(
        torch.from_numpy(theta).float(), list(images.shape), align_corners=True
    )
    return functional.grid_sample(
        images, grid, padding_mode="border", align_corners=True
    )


def _masks(
    shape: Sequence[int], landmarks: NDArray[np.floating], method: Method
) -> Tensor:
    """Draws the hulls of the landmarks: float32 (T, 1, H, W), 0 or 1."""
    masks = np.zeros((shape[0], 1, *shape[1:3]), np.float32)
    for mask, points in zip(masks, landmarks[:, slice(*method.region)], strict=True):
        hull = points[ConvexHull(points).vertices]
        middle = hull.mean(axis=0)
        corners = middle + method.size * (hull - middle)
        image = Image.new("L", (shape[2], shape[1]))
        outline = [tuple(corner) for corner in corners.tolist()]
        ImageDraw.Draw(image).polygon(outline, fill=1)
        mask[0] = np.asarray(image)
    return torch.from_numpy(masks)


def _blurred(images: Tensor, sigma: float) -> Tensor:
    size = 2 * max(1, round(3 * sigma)) + 1
    blurred: Tensor = kornia.filters.gaussian_blur2d(
        images, (size, size), (sigma, sigma)
    )
    return blurred
