"""Real clips: the hard ones, as short as they show what they are for."""

import av
import numpy as np
import pytest
from PIL import Image

from lightly_marlin.faces import find_faces

pytestmark = pytest.mark.real_data


def _frames(path, first, last):
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index >= last:
                return
            if index >= first:
                yield frame.to_ndarray(format="rgb24")


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("talking_head_profile_01.mp4", 0, 40),
        ("expression_change_01.mp4", 100, 130),
        ("occlusion_hand_sign_01.mkv", 0, 63),
    ],
)
def test_a_face_that_turns_or_is_covered_is_followed(real_videos, name, first, last):
    (track,) = find_faces(_frames(real_videos / name, first, last))
    assert track.num_frames == last - first


def test_no_face(real_videos):
    assert find_faces(_frames(real_videos / "no_face_person_back_01.mp4", 0, 25)) == []


def test_a_cut_to_the_sky_ends_the_track(real_videos):
    frames = _frames(real_videos / "face_then_no_face_01.mov", 50, 85)
    (track,) = find_faces(frames)
    assert (track.start_frame, track.end_frame) == (0, 22)


def test_a_pair_that_tilts_their_heads_is_two_tracks(real_videos):
    tracks = find_faces(_frames(real_videos / "multi_face_pair_01.mp4", 0, 24))
    assert [track.num_frames for track in tracks] == [24, 24]


def _like_a_gif(frame):
    """324x270 pixels in 256 dithered colours and a third of the light."""
    picture = Image.fromarray(frame).resize((432, 243))
    pixels = np.pad(np.asarray(picture)[:, 30:354], ((0, 27), (0, 0), (0, 0)), "edge")
    dim = Image.fromarray((0.35 * pixels).astype(np.uint8))
    palette = dim.quantize(256, method=Image.Quantize.MEDIANCUT)
    return np.asarray(dim.quantize(palette=palette).convert("RGB"))


def test_a_dim_and_dithered_pair_is_two_tracks(real_videos):
    """Two faces of 60 pixels; the detector sees them, and the landmarks must sit."""
    frames = _frames(real_videos / "multi_face_pair_01.mp4", 0, 41)
    tracks = find_faces(map(_like_a_gif, frames))
    assert [track.num_frames for track in tracks] == [41, 41]
    widths = [np.ptp(track.landmarks[0], axis=0)[0] for track in tracks]
    assert all(45 < width < 75 for width in widths)
    assert all(np.nanmean(track.confidence) > 0.6 for track in tracks)


def test_a_fade_from_black(real_videos):
    frames = _frames(real_videos / "near_crop_fade_in_dark_01.mp4", 0, 27)
    (track,) = find_faces(frames)
    # A person sees the first hint of a face in frame 6, all of it in frame 10.
    assert 6 <= track.start_frame <= 11
    assert track.end_frame == 27


def test_frames_that_grow_midway_start_a_track_at_their_own_size(real_videos):
    """As in a call: ten frames too small for a face, then whole ones."""
    path = real_videos / "near_crop_talking_01.mp4"
    small = [
        np.asarray(Image.fromarray(frame).resize((40, 40)))
        for frame in _frames(path, 0, 10)
    ]
    large = [
        np.asarray(Image.fromarray(frame).resize((320, 320)))
        for frame in _frames(path, 10, 40)
    ]
    (track,) = find_faces([*small, *large])
    assert (track.start_frame, track.end_frame) == (10, 40)
    assert track.frame_size == (320, 320)
    assert 120 < np.ptp(track.landmarks[0], axis=0)[0] < 280


def test_each_track_is_cropped_by_the_size_of_its_own_frames(real_videos):
    """A portrait video that goes on in landscape: padding must not mix the two."""
    path = real_videos / "near_crop_talking_01.mp4"
    square = list(_frames(path, 0, 20))
    wide = [np.pad(frame, ((0, 0), (300, 300), (0, 0))) for frame in square]
    first, second = find_faces([*square, *wide])
    assert first.frame_size == (224, 224)
    assert second.frame_size == (224, 824)
    (alone,) = find_faces(square)
    np.testing.assert_allclose(first.boxes, alone.boxes)
    np.testing.assert_allclose(second.boxes[0] - first.boxes[0], [300, 0] * 2, atol=15)


def test_the_crop_does_not_jitter(real_videos):
    path = real_videos / "talking_head_glasses_motion_01.mp4"
    (track,) = find_faces(_frames(path, 0, 40))
    centres = (track.boxes[:, :2] + track.boxes[:, 2:]) / 2
    jitter = np.linalg.norm(np.diff(centres, 2, axis=0), axis=1).mean()
    # Detection in every frame jitters by 0.1 face widths in this clip.
    assert jitter / (track.size / 1.7) < 0.025


def _crossing(real_videos, count):
    """Two people who pass each other, the one before the other."""
    people = [
        list(_frames(real_videos / name, 0, count))
        for name in ("talking_head_01.mp4", "talking_head_02.mp4")
    ]
    y, x = np.mgrid[:224, :224] - 112
    head = (np.square(x / 88) + np.square(y / 108) < 1)[..., None]
    for index in range(count):
        frame = np.full((240, 560, 3), 90, np.uint8)
        way = round(index / (count - 1) * 320)
        # The second one is drawn last: she is nearer.
        for pictures, left in zip(people, (way, 320 - way), strict=True):
            place = frame[8:232, left + 8 : left + 232]
            place[:] = np.where(head, pictures[index], place)
        yield frame


def test_two_people_who_cross_stay_two_people(real_videos):
    tracks = find_faces(_crossing(real_videos, 90))
    assert {track.person for track in tracks} == {0, 1}
    for track in tracks:
        # Each track goes one way: nobody turns round where they meet.
        steps = np.diff(track.boxes[:, 0])
        assert (steps > -1.5).all() or (steps < 1.5).all()
    (nearer,) = {t.person for t in tracks if t.boxes[-1, 0] < t.boxes[0, 0]}
    (farther,) = {t.person for t in tracks if t.boxes[-1, 0] > t.boxes[0, 0]}
    assert nearer != farther
    covered = {
        person: sum(track.num_frames for track in tracks if track.person == person)
        for person in (nearer, farther)
    }
    assert covered[nearer] >= 85
    assert covered[farther] >= 55


def test_a_face_that_leaves_and_comes_back_is_the_same_person(real_videos):
    frames = list(_frames(real_videos / "talking_head_01.mp4", 0, 100))
    other = list(_frames(real_videos / "talking_head_02.mp4", 0, 30))
    wall = np.full_like(frames[0], 90)
    tracks = find_faces(frames[:30] + [wall] * 15 + frames[60:90] + other)
    assert [track.person for track in tracks] == [0, 0, 1]
