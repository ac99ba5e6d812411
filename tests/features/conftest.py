"""Small videos and a finder that needs no real face."""

import numpy as np
import pytest

from lightly_marlin.faces import FaceTrack
from lightly_marlin.video import write_video


@pytest.fixture(scope="session")
def make_frames():
    """Makes frames (n, H, W, 3) that differ; `BrightFaces` sees a face in light."""

    def make(num_frames, height=32, width=32, *, face=True, seed=0):
        y, x = np.mgrid[:height, :width].astype(np.float32)
        t = np.arange(num_frames, dtype=np.float32)[:, None, None]
        light, depth = (128, 100) if face else (48, 40)
        red = (180 if face else 20) + 20 * np.sin(x / 7 + t / 3 + seed)
        green = light + depth * np.sin(y / 9 + t / 2)
        blue = light + depth * np.cos((x + y) / 11 + t / 5 + seed)
        return np.stack(np.broadcast_arrays(red, green, blue), -1).astype(np.uint8)

    return make


@pytest.fixture
def save(tmp_path):
    """Writes frames without loss and returns the path."""

    def write(name, frames, fps=25.0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, frames, fps, codec="ffv1", pixel_format="bgr0")
        return path

    return write


class BrightFaces:
    """Every run of bright luma planes is a face in the middle of the frame."""

    longest = longest_untrusted = 0

    def __init__(self, min_frames, min_face, main_only, detector, align_eyes):
        assert detector == "auto"
        self.angle = 0.4 if align_eyes else 0.0
        self.min_frames = min_frames
        self.lights = []
        self.size = (0, 0)

    def update(self, plane):
        height, width = plane.shape
        self.lights.append(plane.mean() > 85)
        self.size = height, width

    def finish(self):
        runs, start = [], None
        for index, bright in enumerate([*self.lights, False]):
            if bright and start is None:
                start = index
            elif not bright and start is not None:
                runs.append((start, index - start))
                start = None
        return [self.track(*run) for run in runs if run[1] >= self.min_frames]

    def track(self, start, count):
        height, width = self.size
        centre = np.array([width / 2, height / 2]) + np.linspace(-2, 2, count)[:, None]
        boxes = np.concatenate([centre - 12, centre + 12], axis=1).astype(np.float32)
        landmarks = np.zeros((count, 68, 2), np.float32)
        angles = np.full(count, self.angle, np.float32)
        seen = np.ones(count, bool)
        return FaceTrack(start, boxes, landmarks, seen, 1.5, angles)


@pytest.fixture
def bright_faces(monkeypatch):
    monkeypatch.setattr("lightly_marlin.faces.FaceFinder", BrightFaces)
