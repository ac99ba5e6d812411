import pytest
import torch

from lightly_marlin.features import NoFaceError, extract_features, extract_video


def encode(encoder, *clips):
    videos = torch.stack([torch.from_numpy(clip) for clip in clips])
    with torch.no_grad():
        return encoder(videos.permute(0, 4, 1, 2, 3))


@pytest.fixture
def video(save, make_frames):
    frames = make_frames(70)
    return save("a.mkv", frames), frames


@pytest.fixture
def expected(video, encoder):
    frames = video[1]
    return encode(encoder, frames[0:32:2], frames[32:64:2], frames[38:70:2])


def test_features_of_all_windows(video, encoder, expected):
    features = extract_video(encoder, video[0], batch_size=2)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, expected)


def test_places(video, encoder, expected):
    found = extract_features(encoder, str(video[0]))
    torch.testing.assert_close(found.features, expected)
    assert found.start_frames == (0, 32, 38)
    assert found.start_seconds == (0, 32 / 25, 38 / 25)
    assert found.tracks == (0, 0, 0)
    assert found.num_frames == (16, 16, 16)


def test_reductions(video, encoder, expected):
    mean = extract_video(encoder, video[0], reduction="mean")
    torch.testing.assert_close(mean, expected.mean(dim=0))
    highest = extract_video(encoder, video[0], reduction="max")
    torch.testing.assert_close(highest, expected.max(dim=0)[0])


def test_sequences(video, encoder, expected):
    tokens = extract_video(encoder, video[0], keep_seq=True)
    assert tokens.shape == (3, 32, 24)
    assert extract_video(encoder, video[0], keep_seq=True, reduction="max").shape == (
        32,
        24,
    )


def test_stride_and_rate(video, encoder):
    frames = video[1]
    found = extract_features(encoder, video[0], sample_rate=4, stride=1)
    assert found.start_frames == (0, 4, 8)
    torch.testing.assert_close(found.features[1:2], encode(encoder, frames[4:68:4]))


def test_tracks_come_one_after_the_other(save, make_frames, encoder, bright_faces):
    import numpy as np

    dark = make_frames(2, 48, 64, face=False)
    faces = [make_frames(40, 48, 64, seed=seed) for seed in (1, 2)]
    path = save("two.mkv", np.concatenate([faces[0], dark, faces[1]]))
    found = extract_features(encoder, path, crop_face=True, all_faces=True)
    assert found.tracks == (0, 0, 1, 1)
    assert found.start_frames == (0, 8, 42, 50)
    rows = extract_video(
        encoder, path, crop_face=True, all_faces=True, reduction="mean"
    )
    torch.testing.assert_close(rows[1], found.features[2:].mean(dim=0))


def test_no_face_gives_no_feature(save, make_frames, encoder, bright_faces):
    path = save("dark.mkv", make_frames(40, face=False))
    with pytest.raises(NoFaceError, match="no face was found"):
        extract_video(encoder, path, crop_face=True)


def test_frames_that_are_no_square_are_spoken_of(save, make_frames, encoder):
    path = save("wide.mkv", make_frames(4, 32, 48))
    with pytest.warns(UserWarning, match=r"wide\.mkv: the middle square"):
        extract_video(encoder, path)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"stride": 0}, r"stride \(0\)"),
        ({"sample_rate": 1.5}, r"sample_rate \(1\.5\)"),
        ({"reduction": "sum"}, r"reduction \('sum'\)"),
        ({"all_faces": True}, "only with crop_face"),
        ({"precision": "64"}, "precision"),
    ],
)
def test_bad_options(option, message, encoder):
    with pytest.raises(ValueError, match=message):
        extract_video(encoder, "never opened.mp4", **option)
