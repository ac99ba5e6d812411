import numpy as np
import pytest

from lightly_marlin.demo.clips import demo_frames
from lightly_marlin.demo.labels import demo_labels, write_demo_labels
from lightly_marlin.demo.motion import clip_generator, expression_path
from lightly_marlin.demo.videos import write_demo_videos
from lightly_marlin.evaluation.labels.reading import read_labels
from lightly_marlin.faces import find_faces

LABELS = ("talking", "smile", "brow", "nod")


def test_demo_labels__follow_the_landmarks_of_the_clip():
    """The same quantities, measured on the landmarks that move the picture."""
    rest = np.zeros((68, 2))
    for index in range(10):
        path = expression_path(rest, clip_generator(index, 7), np.arange(70) / 25)
        rows = demo_labels(index + 1, 70, seed=7)[-2:]
        for row, frames in zip(rows, (slice(0, 32), slice(32, 64)), strict=True):
            move = path[frames].mean(axis=0)
            opening = move[66, 1] - move[62, 1]
            assert row.opening == pytest.approx(opening, abs=1e-6)
            assert row.talking == (opening > 0.19 * 0.31)
            # The corners of the mouth part in a smile and close in when it opens.
            corners = move[54, 0] - move[48, 0] + 0.1 * opening / 0.31
            assert row.smile == (corners > 0)
            # Nose and brows tilt alike, by their depth.
            assert row.nod == (move[30, 1] > 0)
            brows = 0.5 * move[30, 1] / 1.0 - move[19, 1]
            assert row.brow == (brows > 0.05 * 0.13)


def test_demo_labels__stretches_of_clips():
    rows = demo_labels(3, 70, stretch_frames=20)
    assert len(rows) == 9
    first = [(row.video, row.group, row.start, row.end) for row in rows[:4]]
    assert first == [
        ("demo_00.mp4", "demo_00", 0.0, 0.8),
        ("demo_00.mp4", "demo_00", 0.8, 1.6),
        ("demo_00.mp4", "demo_00", 1.6, 2.4),
        ("demo_01.mp4", "demo_01", 0.0, 0.8),
    ]
    assert demo_labels(2, 70, stretch_frames=20) == rows[:6]
    assert demo_labels(2, 64, seed=1) != demo_labels(2, 64)


@pytest.mark.parametrize("num_clips", [24, 96])
def test_demo_labels__both_values_are_common(num_clips):
    """The constant predictor is right in fewer than 80 % of the stretches."""
    rows = demo_labels(num_clips)
    for name in LABELS:
        rate = np.mean([getattr(row, name) for row in rows])
        assert 0.3 < rate < 0.7, name


def test_demo_labels__thresholds_are_the_medians():
    rows = demo_labels(2000)
    for name in LABELS:
        assert np.mean([getattr(row, name) for row in rows]) == pytest.approx(
            0.5, abs=0.02
        )


def test_demo_labels__videos_are_called_alike(tmp_path):
    paths = write_demo_videos(tmp_path, num_clips=2, num_frames=2)
    rows = demo_labels(2, 2, stretch_frames=2)
    assert [path.name for path in paths] == [row.video for row in rows]


def test_demo_labels__the_opening_is_seen_in_the_frames():
    """Measured by the landmark detector, the wider mouth is the wider label."""
    rows = demo_labels(16, 32)
    ends = min(rows, key=lambda r: r.opening), max(rows, key=lambda r: r.opening)
    gaps = []
    for row in ends:
        (track,) = find_faces(demo_frames(int(row.group[5:]), num_frames=32))
        points = track.landmarks
        left, right = points[:, 36:42].mean(axis=1), points[:, 42:48].mean(axis=1)
        lips = np.linalg.norm(points[:, 66] - points[:, 62], axis=-1)
        gaps.append(np.mean(lips / np.linalg.norm(right - left, axis=-1)))
    assert gaps[1] - gaps[0] > 0.5 * (ends[1].opening - ends[0].opening)


def test_write_demo_labels__is_read_as_labels(tmp_path):
    write_demo_labels(tmp_path / "demo.csv", 4)
    rows = demo_labels(4)
    table = read_labels(tmp_path / "demo.csv", ["smile", "brow", "nod"])
    assert table.target.kind == "multilabel"
    wanted = [[row.smile, row.brow, row.nod] for row in rows]
    assert table.labels.tolist() == wanted
    assert table.items[1] == "demo_00.mp4[1.28:2.56]"
    assert table.groups == tuple(row.group for row in rows)
    assert read_labels(tmp_path / "demo.csv", ["talking"]).target.kind == "binary"
    table = read_labels(tmp_path / "demo.csv", ["opening"])
    assert table.target.kind == "regression"
    openings = [row.opening for row in rows]
    np.testing.assert_allclose(table.labels[:, 0], openings, rtol=1e-6)


def test_demo_labels__invalid_numbers():
    with pytest.raises(ValueError, match="Invalid num_clips 0: must be at least 1"):
        demo_labels(0)
    for frames in (0, 65):
        text = rf"Invalid stretch_frames {frames}: must be in \[1, 64\]"
        with pytest.raises(ValueError, match=text):
            demo_labels(stretch_frames=frames)
