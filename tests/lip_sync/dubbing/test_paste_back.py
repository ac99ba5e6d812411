"""Mouths in their frames: nothing else changes, and a crop comes back to its place."""

import numpy as np
import pytest

from lightly_marlin.faces import crop_face
from lightly_marlin.lip_sync.dubbing.paste_back import mouth_mask, paste_mouth


def smooth_frame(height=90, width=120):
    """Slow waves, which survive being resized."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    waves = [np.sin(x / 25 + k) + np.cos(y / 21 + k) for k in range(3)]
    return (127 + 55 * np.stack(waves, -1)).astype(np.uint8)


def noise(height=90, width=120):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def naive_mask(box, angle, height=90, width=120):
    """The mask pixel by pixel, over the whole frame."""
    mask = np.zeros((height, width))
    side = box[2] - box[0]
    middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for row in range(height):
        for column in range(width):
            x, y = turn @ (np.array([column, row]) + 0.5 - middle) / side
            mask[row, column] = mouth_mask(np.array(x), np.array(y))
    return mask


def test_mouth_mask__known_values():
    x = np.array([-0.5, -0.375, -0.25, 0, 0.25, 0.375, 0.5, 0.6])
    weights = mouth_mask(x, np.array(0.25))
    assert weights == pytest.approx([0, 0.5, 1, 1, 1, 0.5, 0, 0])
    y = np.array([-0.4, 0, 0.0625, 0.125, 0.25, 0.375, 0.4375, 0.5, 0.6])
    weights = mouth_mask(np.array(0.0), y)
    assert weights == pytest.approx([0, 0, 0.5, 1, 1, 1, 0.5, 0, 0])
    assert weights.dtype == np.float32


def test_mouth_mask__has_no_steps():
    fine = np.linspace(-0.6, 0.6, 1201)
    for weights in (mouth_mask(fine, np.array(0.25)), mouth_mask(np.array(0.0), fine)):
        assert weights.max() == 1
        assert np.abs(np.diff(weights)).max() < 0.02


def test_paste_mouth__a_crop_of_equal_scale_comes_back_exactly():
    frame, box = noise(), np.float32([20, 10, 84, 74])
    crop = crop_face(frame, box, 64)
    assert np.array_equal(crop, frame[10:74, 20:84])
    assert np.array_equal(paste_mouth(frame, crop, box), frame)


@pytest.mark.parametrize("angle", [0.0, 0.3, -1.2])
@pytest.mark.parametrize("size", [32, 96, 224])
@pytest.mark.parametrize("box", [(20.3, 10.6, 84.9, 75.2), (-9.5, -4.0, 50.5, 56.0)])
def test_paste_mouth__inverts_the_crop(box, size, angle):
    """Within what resizing rounds, for boxes between pixels and outside the frame."""
    frame, box = smooth_frame(), np.float32(box)
    crop = crop_face(frame, box, size, angle)
    pasted = paste_mouth(frame, crop, box, angle)
    assert np.abs(pasted.astype(int) - frame).max() <= 4
    assert np.abs(pasted.astype(int) - frame).mean() < 0.2


@pytest.mark.parametrize("angle", [0.0, 0.4])
@pytest.mark.parametrize("box", [(20.3, 10.6, 84.9, 75.2), (70.5, 44.0, 130.5, 104.0)])
def test_paste_mouth__blends_by_the_mask_and_leaves_the_rest(box, angle):
    frame, box = noise(), np.float32(box)
    color = np.uint8([250, 10, 120])
    crop = np.broadcast_to(color, (48, 48, 3))
    before = frame.copy()
    pasted = paste_mouth(frame, crop, box, angle)
    assert np.array_equal(frame, before)
    mask = naive_mask(box.astype(np.float64), angle)[..., None]
    assert np.array_equal(pasted[mask[..., 0] == 0], frame[mask[..., 0] == 0])
    expected = (1 - mask) * frame + mask * color
    # A pixel that an edge of the box cuts may be left out.
    assert np.abs(pasted - expected).max() <= 1.5
    inside = mask[..., 0] == 1
    assert inside.sum() > 50
    assert (pasted[inside] == color).all()


def test_paste_mouth__outside_the_frame_and_tiny():
    frame, crop = noise(), np.zeros((16, 16, 3), np.uint8)
    for box in ((200, 10, 260, 70), (10, -80, 60, -30), (10, 85, 60, 135)):
        assert np.array_equal(paste_mouth(frame, crop, np.float32(box)), frame)
    for side in (0.4, 1.7, 3.0):
        box = np.float32([40.2, 40.2, 40.2 + side, 40.2 + side])
        for angle in (0.0, 0.5):
            assert paste_mouth(frame, crop, box, angle).shape == frame.shape
