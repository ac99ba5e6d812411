"""Mutated videos among good ones: no crash, no hang, no lost neighbour."""

import json
import subprocess
import sys
import textwrap

import av
import numpy as np
import pytest

from lightly_marlin.store import FaceStore
from lightly_marlin.video import write_video

FORMATS = [
    ("mp4", "libx264", "yuv420p"),
    ("mkv", "libx265", "yuv420p"),
    ("ts", "libx264", "yuv422p"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("mpg", "mpeg1video", "yuv420p"),
    ("obu.mkv", "libsvtav1", "yuv420p"),
    ("gif", "gif", "rgb8"),
    ("mov", "mpeg4", "yuv420p"),
    ("flv", "flv", "yuv420p"),
    ("wmv", "wmv2", "yuv420p"),
    ("3g2", "mpeg4", "yuv420p"),
    ("mxf", "mpeg2video", "yuv422p"),
]

PROGRAM = """
import sys
import numpy as np
import lightly_marlin.faces
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.faces import FaceTrack

class Finder:
    '''A face in the whole of every frame.'''
    frames_seen = longest = longest_untrusted = 0

    def __init__(self, min_frames, min_face, **options):
        pass

    def update(self, frame):
        self.frames_seen += 1
        self.side = min(frame.shape[:2])
        self.longest = self.frames_seen

    def finish(self):
        n = self.frames_seen
        if n < 16:
            return []
        boxes = np.tile(np.float32([0, 0, self.side, self.side]), (n, 1))
        points = np.random.default_rng(0).uniform(0, self.side, (n, 68, 2))
        points = points.astype(np.float32)
        return [FaceTrack(0, boxes, points, np.ones(n, bool), 1.0)]

lightly_marlin.faces.FaceFinder = Finder
if __name__ == "__main__":
    prepare_videos(sys.argv[1], sys.argv[2], num_workers=2, stall_seconds=20)
"""


@pytest.fixture(scope="module")
def originals(tmp_path_factory, make_frames):
    """One small video of every format that this FFmpeg can write."""
    folder = tmp_path_factory.mktemp("originals")
    frames = make_frames(24, 64, 80)
    for suffix, codec, pixel_format in FORMATS:
        if codec in av.codecs_available:
            path = folder / f"a.{suffix}"
            write_video(path, frames, codec=codec, pixel_format=pixel_format)
    return sorted(folder.iterdir())


def mutate(data, other, generator):
    """Returns the bytes of a video after one to three accidents."""
    for _ in range(generator.integers(1, 4)):
        size = len(data)
        if size < 2:
            return data
        length = int(size * generator.choice([0.001, 0.01, 0.1, 0.5])) + 1
        first = int(generator.integers(size))
        last = min(size, first + length)
        kind = generator.integers(7)
        if kind == 0:
            data = data[:first]
        elif kind == 1:
            bits = np.frombuffer(data, np.uint8).copy()
            places = generator.integers(0, size, generator.integers(1, 50))
            bits[places] ^= 1 << generator.integers(0, 8, len(places)).astype(np.uint8)
            data = bits.tobytes()
        elif kind == 2:
            data = data[:first] + bytes(last - first) + data[last:]
        elif kind == 3:
            data = data[:last] + data[first:]
        elif kind == 4:
            data = data[:first] + data[last:]
        elif kind == 5:
            data = data[:first] + generator.bytes(last - first) + data[last:]
        else:
            data = data[:first] + other[len(other) * first // size :]
    return data


def fuzz(originals, tmp_path, seed, count):
    """Prepares mutated videos and good ones; returns the entries of the mutated."""
    generator = np.random.default_rng(seed)
    folder, store = tmp_path / "v", tmp_path / "store"
    folder.mkdir()
    data = [path.read_bytes() for path in originals]
    for number in range(count):
        kind, other = generator.integers(len(data), size=2)
        mutated = mutate(data[kind], data[other], generator)
        (folder / f"{number:04d}{originals[kind].suffix}").write_bytes(mutated)
    for name in ("0000_good.mp4", f"{count // 2:04d}_good.mp4", "z_good.mp4"):
        (folder / name).write_bytes((originals[0].parent / "a.mp4").read_bytes())
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    command = [sys.executable, str(program), str(folder), str(store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr[-2000:]
    entries = json.loads((store / "report.json").read_text())["videos"]
    assert [entry["source"] for entry in entries] == sorted(
        path.name for path in folder.iterdir()
    )
    good = [entry for entry in entries if "good" in entry["source"]]
    assert [(entry["status"], entry["frames"]) for entry in good] == [("ok", 24)] * 3
    for track in FaceStore(store):
        assert track.frames.shape[0] == track.num_frames
    return [entry for entry in entries if "good" not in entry["source"]]


def check(entries):
    """Every outcome is one that a reader chose, and both passes saw the same."""
    bad = [entry for entry in entries if entry["status"] != "ok"]
    for entry in bad:
        assert entry["reason"]
        assert "\n" not in entry["reason"]
        for words in ("unexpected", "worker process", "no progress", "it changed"):
            assert words not in entry["reason"], entry
    # Else the mutations say nothing about what is decoded in part.
    partial = [entry for entry in entries if 0 < entry["frames"] < 24]
    assert len(partial) > len(entries) // 20
    assert len(bad) > len(entries) // 20


def test_mutated_videos(originals, tmp_path):
    check(fuzz(originals, tmp_path, seed=0, count=100))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_many_mutated_videos(originals, tmp_path, seed):
    check(fuzz(originals, tmp_path, seed, count=400))
