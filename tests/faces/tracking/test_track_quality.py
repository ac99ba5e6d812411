import itertools

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageFilter

from lightly_marlin.faces.boxes import face_boxes
from lightly_marlin.faces.tracking.track_quality import (
    AppearanceMeter,
    box_jitter,
    mean_confidence,
    measure_geometry,
)


@pytest.fixture(scope="module")
def crop():
    """The astronaut's head on a 224x224 crop."""
    head = Image.fromarray(skimage.data.astronaut()[30:254, 110:334])
    return np.asarray(head.resize((224, 224)))


def _look(crops, landmarks):
    crops = np.asarray(crops)
    meter = AppearanceMeter()
    meter.update(crops, np.repeat(landmarks[None], len(crops), axis=0))
    return meter.finish()


def test_sharpness_falls_with_the_size_of_the_source(crop, frontal_landmarks):
    image = Image.fromarray(crop)
    values = []
    for side in (224, 112, 56, 28):
        small = image.resize((side, side), Image.Resampling.BOX)
        large = small.resize((224, 224), Image.Resampling.BILINEAR)
        values.append(_look([np.asarray(large)], frontal_landmarks).sharpness)
    assert all(a > 1.3 * b for a, b in itertools.pairwise(values)), values


def test_sharpness_falls_with_blur_and_not_with_light(crop, frontal_landmarks):
    sharp = _look([crop], frontal_landmarks)
    blurred = Image.fromarray(crop).filter(ImageFilter.GaussianBlur(2))
    assert _look([np.asarray(blurred)], frontal_landmarks).sharpness < (
        0.5 * sharp.sharpness
    )
    dim = _look([crop // 2], frontal_landmarks)
    assert dim.sharpness == pytest.approx(sharp.sharpness, rel=0.05)
    assert dim.contrast == pytest.approx(sharp.contrast / 2, rel=0.05)
    assert dim.brightness == pytest.approx(sharp.brightness / 2, abs=1)


def test_appearance_is_that_of_the_face_box(frontal_landmarks):
    """Transcribed with floats; what lies outside the box does not count."""
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    box = face_boxes(frontal_landmarks[None])[0].round().astype(int)
    rows, columns = slice(box[1], box[3]), slice(box[0], box[2])
    luma = (crop[rows, columns] @ np.array([0.299, 0.587, 0.114])).round()
    inner = -4 * luma[1:-1, 1:-1] + luma[:-2, 1:-1] + luma[2:, 1:-1]
    inner += luma[1:-1, :-2] + luma[1:-1, 2:]
    look = _look([crop], frontal_landmarks)
    assert look.brightness == pytest.approx(luma.mean(), abs=0.01)
    assert look.contrast == pytest.approx(luma.std(), rel=1e-3)
    assert look.sharpness == pytest.approx(inner.std() / luma.std(), rel=1e-3)
    outside = crop.copy()
    outside[: box[1]] = 255
    assert _look([outside], frontal_landmarks) == look


def test_a_flat_face_and_no_face_measure_nothing(frontal_landmarks):
    flat = _look([np.full((224, 224, 3), 90, np.uint8)], frontal_landmarks)
    assert (flat.sharpness, flat.brightness, flat.contrast) == (0, 90, 0)
    far = _look([np.full((224, 224, 3), 90, np.uint8)], frontal_landmarks - 1e4)
    assert (far.sharpness, far.brightness, far.contrast) == (0, 0, 0)


def test_every_fourth_frame_counts_across_chunks(frontal_landmarks):
    levels = np.arange(0, 200, 10)
    crops = np.repeat(levels, 224 * 224 * 3).reshape(-1, 224, 224, 3).astype(np.uint8)
    meter = AppearanceMeter()
    for rows in (slice(0, 7), slice(7, 8), slice(8, 20)):
        count = len(crops[rows])
        meter.update(crops[rows], np.repeat(frontal_landmarks[None], count, axis=0))
    assert meter.finish().brightness == np.median(levels[::4])


def test_geometry_of_a_face(frontal_landmarks):
    landmarks = np.repeat(frontal_landmarks[None], 5, axis=0)
    boxes = np.tile([0.0, 0.0, 224.0, 224.0], (5, 1))
    geometry = measure_geometry(landmarks, boxes)
    box = face_boxes(frontal_landmarks[None])[0]
    assert geometry.face_width == pytest.approx(box[2] - box[0])
    assert geometry.max_abs_yaw == pytest.approx(abs(geometry.yaw), abs=1e-4)
    assert max(abs(geometry.yaw), abs(geometry.roll)) < 1
    assert geometry.box_jitter == 0


def test_jitter_is_in_units_of_the_face():
    steady = np.arange(10.0)[:, None] * (2, 1, 2, 1) + (0, 0, 50, 50)
    assert box_jitter(steady, 40) == pytest.approx(0)
    # To and fro by 1 % of the face: second differences of four times that.
    shaking = steady + np.where(np.arange(10) % 2, 0.4, -0.4)[:, None] * (1, 0, 1, 0)
    assert box_jitter(shaking, 80) == pytest.approx(0.02)
    # Growing about its centre moves nothing.
    growing = np.arange(10.0)[:, None] ** 2 * (-1, -1, 1, 1)
    assert box_jitter(growing, 40) == 0
    assert box_jitter(shaking[:2], 40) == 0


def test_confidence_counts_measured_frames():
    assert mean_confidence(np.float32([0.5, np.nan, 1.0])) == 0.75
    assert mean_confidence(np.float32([np.nan, np.nan])) is None
