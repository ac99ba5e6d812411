import av
import numpy as np
import pytest

from lightly_marlin.faces.tracking.track_quality import Appearance
from lightly_marlin.features import ExtractionOptions, NoFaceError, video_windows
from lightly_marlin.features.video_windows import VideoInfo
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.preparation.track_writer import TrackWriter
from lightly_marlin.video import VideoError, write_video


def read(path, info=None, **options):
    found = video_windows(path, ExtractionOptions(**options), size=32, info=info)
    return list(found)


def test_frames_of_the_right_size_are_not_touched(save, make_frames):
    frames, info = make_frames(40), VideoInfo()
    windows = read(save("a.mkv", frames, fps=20.0), info)
    assert [w.start_frame for w in windows] == [0, 8]
    assert np.array_equal(windows[0].clip, frames[0:32:2])
    assert np.array_equal(windows[1].clip, frames[8:40:2])
    assert (info.fps, info.num_frames, info.num_tracks) == (20.0, 40, 1)
    assert info.note is None


def test_the_middle_square_of_other_frames(save, make_frames):
    frames, info = make_frames(4, height=64, width=96), VideoInfo()
    frames[:, :, :16] = frames[:, :, 80:] = 255
    (window,) = read(save("wide.mkv", frames), info)
    square = frames[0, :, 16:80].reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    inner = np.s_[1:-1, 1:-1]
    assert np.abs(window.clip[0][inner] - square[inner]).max() < 12
    assert "the middle square of its 96x64 frames" in info.note


def test_faces_are_cropped(save, make_frames, bright_faces):
    dark = make_frames(10, 48, 64, face=False)
    video = np.concatenate([dark, make_frames(30, 48, 64), dark])
    info = VideoInfo()
    (window,) = read(save("a.mkv", video), info, crop_face=True)
    assert (window.start_frame, window.num_frames) == (10, 15)
    assert window.clip.shape == (16, 32, 32, 3)
    assert window.clip[..., 0].mean() > 150
    assert (info.num_frames, info.num_tracks) == (50, 1)


def test_a_face_only_at_the_very_end(save, make_frames, bright_faces):
    dark = make_frames(60, 48, 64, face=False)
    video = np.concatenate([dark, make_frames(3, 48, 64)])
    (window,) = read(save("a.mkv", video), crop_face=True)
    assert (window.start_frame, window.num_frames) == (60, 2)
    assert np.array_equal(window.clip[1], window.clip[15])


def test_every_face_or_the_main_one(save, make_frames, bright_faces):
    dark = make_frames(4, 48, 64, face=False)
    faces = make_frames(20, 48, 64), make_frames(40, 48, 64)
    path = save("a.mkv", np.concatenate([faces[0], dark, faces[1]]))
    every = read(path, crop_face=True, all_faces=True)
    assert [(w.track, w.start_frame) for w in every] == [(0, 0), (1, 24), (1, 32)]
    main = read(path, crop_face=True)
    assert [(w.track, w.start_frame) for w in main] == [(0, 24), (0, 32)]


@pytest.mark.parametrize("align_eyes", [False, True])
def test_crops_are_those_of_a_store(
    align_eyes, save, make_frames, bright_faces, tmp_path, monkeypatch
):
    """What a model was trained on, to the bit before the store compresses it."""
    path, crops = save("a.mkv", make_frames(40, 48, 64)), []
    options = {"min_face": 20, "align_eyes": align_eyes}
    monkeypatch.setattr(TrackWriter, "write", lambda self, crop: crops.append(crop))
    monkeypatch.setattr(TrackWriter, "close", lambda self: Appearance(0, 0, 0))
    prepare_videos(path, tmp_path / "store", num_workers=0, **options)
    extraction = ExtractionOptions(crop_face=True, **options)
    windows = list(video_windows(path, extraction))
    for window in windows:
        first = window.start_frame
        expected = np.stack(crops[first : first + 32 : 2])
        assert np.array_equal(window.clip, expected)
    assert [window.start_frame for window in windows] == [0, 8]


def test_no_face(save, make_frames, bright_faces):
    path = save("a.mkv", make_frames(20, face=False))
    with pytest.raises(NoFaceError, match="no face was found in its 20 frames"):
        read(path, crop_face=True)


@pytest.mark.parametrize("crop_face", [False, True])
def test_one_frame(crop_face, save, make_frames, bright_faces):
    path = save("a.mkv", make_frames(1, 48, 48))
    (window,) = read(path, crop_face=crop_face)
    assert (window.start_frame, window.num_frames) == (0, 1)
    assert all(np.array_equal(window.clip[0], frame) for frame in window.clip)


def test_audio_first_and_no_frame_count(tmp_path, make_frames):
    frames = make_frames(40)
    path = tmp_path / "audio_first.mkv"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000)
        stream = container.add_stream("ffv1", rate=25)
        stream.pix_fmt, stream.width, stream.height = "bgr0", 32, 32
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 8000), np.int16), layout="mono"
        )
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
        container.mux(sound.encode())
    with av.open(str(path)) as container:
        assert container.streams[0].type == "audio"
        assert container.streams.video[0].frames == 0
    windows = read(path)
    assert np.array_equal(windows[-1].clip, frames[8:40:2])


def test_bad_videos_say_why(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match="cannot be opened"):
        read(tmp_path / "text.mp4")


def test_a_video_that_is_cut_off_gives_what_it_has(tmp_path, make_frames):
    path = tmp_path / "whole.mpg"
    write_video(path, make_frames(60, 64, 64), codec="mpeg1video")
    cut = tmp_path / "cut.mpg"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    info = VideoInfo()
    windows = read(cut, info)
    assert 0 < info.num_frames < 60
    assert windows[-1].start_frame + 31 >= info.num_frames


def test_frames_whose_size_changes(make_frames, write_browser_webm, tmp_path):
    """Each gives its own middle square, and what is odd is said."""
    frames = [*make_frames(10, 32, 32), *make_frames(6, 32, 64), *make_frames(4)]
    path = write_browser_webm(tmp_path / "a.webm", frames, range(0, 800, 40))
    info = VideoInfo()
    (window,) = read(path, info, sample_rate=1, stride=32)[:1]
    assert window.clip.shape == (16, 32, 32, 3)
    expected = np.stack([frame[:, -48:-16] for frame in frames[10:16]])
    assert np.abs(window.clip[10:].astype(int) - expected).mean() < 12
    assert "the middle square of its 64x32 frames" in info.note
    assert "changes 2 times (32x32, 64x32 pixels)" in info.note
