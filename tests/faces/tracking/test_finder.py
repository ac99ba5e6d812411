import numpy as np
import pytest

from lightly_marlin.faces import FaceFinder, find_faces


def _still(picture, count):
    return [picture] * count


def _sliding(portrait, count, step):
    """The portrait on a grey wall, moved to the right from frame to frame."""
    frames = []
    for index in range(count):
        frame = np.full((240, 240 + step * count, 3), 128, np.uint8)
        frame[:, step * index : step * index + 240] = portrait
        frames.append(frame)
    return frames


def _texture(shape, seed=0):
    coarse = np.random.default_rng(seed).integers(20, 235, (6, 6, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((shape[0] // 6, shape[1] // 6, 1), np.uint8))


def test_a_moving_face_is_one_track_without_lag(portrait):
    (track,) = find_faces(_sliding(portrait, 30, step=4))
    assert (track.start_frame, track.num_frames) == (0, 30)
    np.testing.assert_allclose(np.diff(track.boxes[:, 0])[6:-6], 4, atol=0.6)
    np.testing.assert_allclose(np.diff(track.landmarks[:, 30, 0]), 4, atol=1.5)
    assert track.detected[0]
    assert 0.2 < track.detected.mean() < 0.6


def test_a_face_keeps_the_frames_before_the_search_met_it(portrait):
    # Frame 12 is the second one that is searched as a whole.
    wall = np.full_like(portrait, 128)
    faded = [
        (wall + share * (portrait.astype(float) - wall)).astype(np.uint8)
        for share in np.linspace(0, 1, 6)
    ]
    (track,) = find_faces(_still(wall, 2) + faded + _still(portrait, 18))
    assert 2 < track.start_frame <= 6
    assert track.end_frame == 26


def test_a_cut_ends_a_track_and_starts_another(portrait):
    other = np.ascontiguousarray(np.roll(255 - _texture((240, 240)), 50))
    frames = _still(portrait, 18) + _still(other, 5) + _still(portrait, 17)
    tracks = find_faces(frames)
    assert [(t.start_frame, t.end_frame) for t in tracks] == [(0, 18), (23, 40)]


def test_two_people_are_two_tracks_the_larger_first(portrait):
    small = np.full((240, 200, 3), 128, np.uint8)
    small[40:200, 20:180] = portrait[::3, ::3].repeat(2, axis=0).repeat(2, axis=1)
    tracks = find_faces(_still(np.concatenate([small, portrait], axis=1), 17))
    assert [track.num_frames for track in tracks] == [17, 17]
    assert tracks[0].size > tracks[1].size
    assert tracks[0].boxes[0, 0] > 200 > tracks[1].boxes[0, 2]


def test_a_face_too_short_for_a_track_is_reported(portrait):
    finder = FaceFinder()
    for frame in _still(portrait, 15):
        finder.update(frame)
    assert finder.finish() == []
    assert (finder.frames_seen, finder.longest) == (15, 15)
    assert len(find_faces(_still(portrait, 15), min_frames=15)) == 1


def test_no_face_no_track():
    finder = FaceFinder()
    for seed in range(20):
        finder.update(_texture((96, 120), seed))
    assert finder.finish() == []
    assert finder.longest == 0


def test_no_frames_no_track():
    assert find_faces([]) == []


def test_a_face_that_leaves_ends_its_track(portrait):
    wide = np.concatenate([portrait, np.full_like(portrait, 128)], axis=1)
    frames = [wide[:, step : step + 240] for step in range(0, 241, 6)]
    (track,) = find_faces(frames)
    # The face lies at 75 to 170 and is half gone at frame 20, gone at frame 28.
    assert track.start_frame == 0
    assert 13 <= track.end_frame <= 24


def test_a_tilted_face_is_followed(portrait):
    from PIL import Image

    angles = np.concatenate([np.linspace(0, 40, 14), np.full(10, 40)])
    picture = Image.fromarray(portrait)
    frames = [
        np.asarray(picture.rotate(a, Image.Resampling.BILINEAR, center=(122, 122)))
        for a in angles
    ]
    (track,) = find_faces(frames)
    assert track.num_frames == 24
    assert track.detected[-8:].any()


@pytest.mark.parametrize("size", [(1, 1), (3, 701), (33, 17)])
def test_odd_frames_do_not_crash(size):
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert find_faces(_still(frame, 3)) == []


def test_a_change_of_size_starts_a_scene(portrait):
    smaller = np.ascontiguousarray(portrait[10:220, 10:230])
    tracks = find_faces(_still(portrait, 16) + _still(smaller, 16))
    assert [t.start_frame for t in tracks] == [0, 16]


def test_large_frames_are_reduced_and_boxes_come_back_in_source_pixels(portrait):
    large = portrait.repeat(7, axis=0).repeat(7, axis=1)
    (track,) = find_faces(_still(large, 4), min_frames=4)
    (reference,) = find_faces(_still(portrait, 4), min_frames=4)
    np.testing.assert_allclose(track.landmarks / 7, reference.landmarks, atol=4)


def test_the_cnn_finds_a_face_that_the_fast_detector_does_not(portrait):
    from PIL import Image

    picture = Image.fromarray(portrait).convert("L")
    tilted = np.array(picture.rotate(55, Image.Resampling.BILINEAR, center=(122, 122)))
    tilted = np.ascontiguousarray(tilted[30:214, 30:214])
    assert find_faces(_still(tilted, 20), detector="hog") == []
    for detector in ("auto", "cnn"):
        (track,) = find_faces(_still(tilted, 20), detector=detector)
        assert track.num_frames == 20


def test_small_faces_beside_the_main_one_are_not_searched_for(portrait):
    small = np.full((240, 120, 3), 128, np.uint8)
    small[60:180] = portrait[::2, ::2]
    frames = _still(np.concatenate([portrait, np.full_like(small, 128)], axis=1), 20)
    frames += _still(np.concatenate([portrait, small], axis=1), 40)
    assert len(find_faces(frames)) == 2
    assert len(find_faces(frames, main_only=True)) == 1


def test_invalid_frames_and_options_are_named():
    with pytest.raises(ValueError, match="Invalid frame"):
        find_faces([np.zeros((4, 4), np.float32)])
    with pytest.raises(ValueError, match="Invalid detect_every 0: must be at least 1"):
        FaceFinder(detect_every=0)
    with pytest.raises(ValueError, match="Invalid detector 'eye': must be one of hog"):
        FaceFinder(detector="eye")
