import numpy as np
import pytest

from lightly_marlin.faces import FaceTrack, main_track


def _track(num_frames, side, start=0):
    return FaceTrack(
        start_frame=start,
        boxes=np.tile(np.float32([0, 0, side, side]), (num_frames, 1)),
        landmarks=np.zeros((num_frames, 68, 2), np.float32),
        detected=np.ones(num_frames, bool),
        score=1.0,
    )


def test_lengths_follow_from_the_boxes():
    track = _track(5, 10, start=7)
    assert (track.num_frames, track.end_frame, track.size) == (5, 12, 10.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("boxes", np.zeros((0, 4), np.float32)),
        ("landmarks", np.zeros((2, 5, 2), np.float32)),
        ("detected", np.zeros(3, bool)),
    ],
)
def test_arrays_of_different_lengths_are_rejected(name, value):
    arrays = {
        "boxes": np.zeros((2, 4), np.float32),
        "landmarks": np.zeros((2, 68, 2), np.float32),
        "detected": np.zeros(2, bool),
        name: value,
    }
    with pytest.raises(ValueError, match=f"Invalid shape of {name}"):
        FaceTrack(start_frame=0, score=0.0, **arrays)


def test_main_track_weighs_area_by_length():
    # 20 * 30^2 = 18,000 beats both the longer and the larger one.
    tracks = [_track(40, 20), _track(20, 30), _track(4, 60)]
    assert main_track(tracks) is tracks[1]


def test_main_track_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="Invalid tracks"):
        main_track([])
