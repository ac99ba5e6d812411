"""Fixtures that many tests share: real clips, synthetic videos, a stand-in finder.

The package is imported where it is used: tests of the kernels need torch alone.
"""

import importlib.util
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

# Replaces distutils by its own: once it failed to in the middle of a compilation.
import setuptools  # noqa: F401
import torch

_ROOT = Path(__file__).resolve().parents[1]
_REAL_DATA = _ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Small tensors: threads cost more than they bring, and results stay the same."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Whatever a failing test writes to a relative path stays out of the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _own_scheduling():
    """An encoder that makes its thread real-time does so for one test at most."""
    from lightly_marlin.utils.scheduling import keep_scheduling

    with keep_scheduling():
        yield


@pytest.fixture(scope="session")
def warm_python():
    """Path of a `python` in which the large libraries are imported already."""
    path = Path(__file__).with_name("warm_python.py")
    spec = importlib.util.spec_from_file_location("warm_python", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Addresses of sockets must be short.
    with tempfile.TemporaryDirectory() as folder, module.start(Path(folder)) as path:
        yield path


@pytest.fixture
def kill_when(warm_python):
    """Runs a program until something is the case, and kills it then."""

    def run(command, condition):
        command = [str(part) for part in (warm_python, *command)]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, preexec_fn=os.setpgrp
        )
        deadline = time.monotonic() + 120
        while not condition():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    return run


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real face clips and pictures beside the checkout."""
    if not _REAL_DATA.is_dir():
        pytest.skip("the real face clips are not beside this checkout")
    return _REAL_DATA


@pytest.fixture(scope="session")
def real_videos(real_data: Path) -> Path:
    return real_data / "videos"


def _make_frames(num_frames, height=96, width=128, *, face=True, seed=0):
    """Smooth moving gradients; `FakeFinder` sees a face where it is bright."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    for t in range(num_frames):
        frames[t, ..., 0] = (180 if face else 20) + 40 * np.sin(x / 17 + t / 9 + seed)
        frames[t, ..., 1] = (150 if face else 65) + 60 * np.sin(y / 23 + t / 7)
        frames[t, ..., 2] = (150 if face else 65) + 60 * np.cos((x + y) / 31 + seed)
    return frames


def _make_landmarks(boxes):
    """A ring of 68 points in each box, float32 (n, 68, 2)."""
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * 0.3 + 0.5
    sides = (boxes[:, 2] - boxes[:, 0])[:, None, None]
    return (boxes[:, None, :2] + ring[None] * sides).astype(np.float32)


class FakeFinder:
    """Every run of bright frames is a face in the middle of the frame."""

    def __init__(self, min_frames=16, min_face=40, **options):
        self.min_frames = min_frames
        self.frames_seen = 0
        self.longest = self.longest_untrusted = 0
        self._runs = []
        self._shape = None

    def update(self, frame):
        if frame.mean() > 105:
            if not self._runs or sum(self._runs[-1]) != self.frames_seen:
                self._runs.append([self.frames_seen, 0])
            self._runs[-1][1] += 1
            self.longest = max(self.longest, self._runs[-1][1])
        self._shape = frame.shape
        self.frames_seen += 1

    def finish(self):
        return [self._track(*run) for run in self._runs if run[1] >= self.min_frames]

    def _track(self, start, count):
        from lightly_marlin.faces.tracking.track import FaceTrack

        height, width = self._shape[:2]
        centre = np.array([width / 2, height / 2])
        drift = np.linspace(-3, 3, count)[:, None]
        boxes = np.concatenate([centre - 30 + drift, centre + 30 + drift], axis=1)
        boxes = boxes.astype(np.float32)
        detected = np.arange(count) % 4 == 0
        return FaceTrack(start, boxes, _make_landmarks(boxes), detected, score=1.5)


@pytest.fixture(scope="session")
def make_frames():
    return _make_frames


@pytest.fixture(scope="session")
def fake_finder():
    return FakeFinder


@pytest.fixture
def fake_faces(monkeypatch):
    """Replaces the finder, so that preparation runs on synthetic videos in no time."""
    monkeypatch.setattr("lightly_marlin.faces.FaceFinder", FakeFinder)


@pytest.fixture
def videos(tmp_path, make_frames):
    """A folder with what people have: two good videos, one without a face, garbage."""
    from lightly_marlin.video import write_video

    folder = tmp_path / "videos"
    (folder / "deep").mkdir(parents=True)
    write_video(folder / "a.mp4", make_frames(40))
    write_video(folder / "deep" / "a.mp4", make_frames(24, seed=2))
    write_video(folder / "no face.mkv", make_frames(20, face=False))
    write_video(folder / "short.mp4", make_frames(15))
    (folder / "text.mp4").write_text("not a video\n" * 100)
    (folder / "empty.mp4").touch()
    (folder / "notes.txt").write_text("no video at all")
    return folder


@pytest.fixture(scope="session")
def demo_videos(tmp_path_factory):
    """A folder of six short clips of a talking portrait, for the real detector."""
    from lightly_marlin.demo import write_demo_videos

    folder = tmp_path_factory.mktemp("demo") / "videos"
    write_demo_videos(folder, num_clips=6, num_frames=20)
    return folder


@pytest.fixture(scope="session")
def encoder():
    """An encoder of 32 tokens in which nothing is zero or one."""
    from lightly_marlin.models import MarlinConfig, MarlinEncoder

    torch.manual_seed(0)
    model = MarlinEncoder(
        MarlinConfig(img_size=32, encoder_dim=24, encoder_depth=2, encoder_num_heads=2)
    )
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape)
    return model.eval()


@pytest.fixture(scope="session")
def write_browser_webm():
    """Writes VP8 in WebM as browsers record it: with time stamps, without a rate.

    Takes a path, frames whose size may change, and their stamps in milliseconds.
    """
    from fractions import Fraction

    import av

    def write(path, frames, stamps):
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libvpx", rate=1000)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt, encoder, size = "yuv420p", None, None
            for frame, stamp in [*zip(frames, stamps, strict=True), (None, None)]:
                packets = []
                if encoder and (frame is None or frame.shape != size):
                    packets, encoder = encoder.encode(), None
                if frame is not None and encoder is None:
                    encoder, size = av.CodecContext.create("libvpx", "w"), frame.shape
                    encoder.height, encoder.width = size[:2]
                    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 1000)
                    encoder.bit_rate = 2_000_000
                if frame is not None:
                    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame))
                    picture.pts, picture.time_base = stamp, Fraction(1, 1000)
                    packets = [*packets, *encoder.encode(picture)]
                for packet in packets:
                    packet.stream = stream
                    container.mux(packet)
        return path

    return write
