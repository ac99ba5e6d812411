"""Muxing: copied pictures, sound of another file in its place."""

import av
import numpy as np
import pytest

from lightly_marlin.audio import AudioError, read_audio
from lightly_marlin.video import (
    VideoError,
    VideoReader,
    iter_frames,
    mux_audio,
    write_video,
)


@pytest.fixture
def pictures(tmp_path, make_frames):
    path = tmp_path / "pictures.mp4"
    write_video(path, make_frames(30, 64, 64))
    return path


def click_at(seconds, rate=16000):
    samples = np.zeros(rate)
    samples[round(seconds * rate) :][: rate // 1000] = 0.9
    return samples


def heard(path):
    samples, start = read_audio(path)
    return np.abs(samples).argmax() / 16000 + start


def write_wav(path, channels, rate=16000):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=rate)
        stream.layout = "mono" if len(channels) == 1 else "stereo"
        packed = np.ascontiguousarray(channels.T, np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", stream.layout.name)
        frame.sample_rate = rate
        container.mux([*stream.encode(frame), *stream.encode()])
    return path


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "ts"])
@pytest.mark.parametrize("source", ["mp4", "mkv"])
def test_mux_audio__pictures_stay_and_sound_is_in_place(
    tmp_path, make_frames, source, container
):
    """H.264 with B-frames, whose first decoding times Matroska leaves out."""
    video, out = tmp_path / f"pictures.{source}", tmp_path / f"out.{container}"
    write_video(video, make_frames(30, 64, 64), 30.0)
    sound = write_wav(tmp_path / "a.wav", click_at(0.6)[None])
    mux_audio(video, sound, out)
    assert heard(out) == pytest.approx(0.6, abs=0.001)
    before, after = list(iter_frames(video)), list(iter_frames(out))
    np.testing.assert_array_equal(after, before)
    expected = np.arange(30) / 30
    # Matroska rounds to milliseconds.
    np.testing.assert_allclose(stamps(out), expected, atol=1e-3)
    if container == "mkv" and int(av.__version__.split(".")[0]) < 18:
        # PyAV 17 copies no frame rate, so the reader has FFmpeg's estimate, 1000/33.
        return
    with VideoReader(out) as reader:
        list(reader)
        np.testing.assert_allclose(reader.seconds, expected, atol=1e-3)


def stamps(path):
    """Seconds of the pictures from the first, as the file has them."""
    with av.open(str(path)) as file:
        times = sorted(
            float(packet.pts * packet.time_base)
            for packet in file.demux(video=0)
            if packet.size
        )
    return np.subtract(times, times[0])


def test_mux_audio__keeps_the_delay_of_a_videos_own_sound(
    tmp_path, pictures, make_frames
):
    other, out = tmp_path / "other.mp4", tmp_path / "out.mp4"
    write_video(other, make_frames(8, 64, 64), audio=click_at(0.3), audio_start=0.2)
    mux_audio(pictures, other, out)
    assert heard(out) == pytest.approx(0.5, abs=0.001)


def test_mux_audio__pictures_that_begin_late(tmp_path, pictures):
    """Sound is counted from the first picture, whatever its time stamp."""
    late = tmp_path / "late.mkv"
    with av.open(str(pictures)) as old, av.open(str(late), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.pts += round(0.4 / packet.time_base)
                packet.dts += round(0.4 / packet.time_base)
                packet.stream = stream
                new.mux(packet)
    sound = write_wav(tmp_path / "a.wav", click_at(0.6)[None])
    mux_audio(late, sound, tmp_path / "out.mkv")
    assert heard(tmp_path / "out.mkv") == pytest.approx(0.6, abs=0.001)


def test_mux_audio__replaces_sound_in_place_and_keeps_stereo(tmp_path, pictures):
    mux_audio(pictures, write_wav(tmp_path / "a.wav", click_at(0.2)[None]), pictures)
    both = np.stack([click_at(0.4), np.zeros(16000)])
    mux_audio(pictures, write_wav(tmp_path / "b.wav", both), pictures)
    with av.open(str(pictures)) as container:
        (stream,) = container.streams.audio
        assert stream.layout.name == "stereo"
        frames = [frame.to_ndarray() for frame in container.decode(stream)]
    left, right = np.concatenate(frames, axis=1)
    assert np.abs(left).max() > 0.5 > 10 * np.abs(right).max()
    assert heard(pictures) == pytest.approx(0.4, abs=0.001)
    assert {path.name for path in tmp_path.iterdir()} == {
        "a.wav",
        "b.wav",
        "pictures.mp4",
    }


def test_mux_audio__errors_leave_nothing(tmp_path, pictures):
    sound = write_wav(tmp_path / "a.wav", click_at(0.2)[None])
    before = {path.name for path in tmp_path.iterdir()}
    out = tmp_path / "out.mp4"
    with pytest.raises(AudioError, match=r"pictures\.mp4: has no audio stream"):
        mux_audio(pictures, pictures, out)
    with pytest.raises(VideoError, match=r"a\.wav: has no video stream"):
        mux_audio(sound, sound, out)
    with pytest.raises(VideoError, match=r"no\.mp4: cannot be opened: No such file"):
        mux_audio(tmp_path / "no.mp4", sound, out)
    with pytest.raises(VideoError, match=r"out\.webm: cannot be written: "):
        mux_audio(pictures, sound, tmp_path / "out.webm")
    assert {path.name for path in tmp_path.iterdir()} == before


def test_mux_audio__truncated_pictures(tmp_path, make_frames):
    video = tmp_path / "a.mkv"
    write_video(video, make_frames(60, 64, 64), options={"crf": "1"})
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    sound = write_wav(tmp_path / "a.wav", click_at(0.2)[None])
    mux_audio(video, sound, tmp_path / "out.mkv")
    assert heard(tmp_path / "out.mkv") == pytest.approx(0.2, abs=0.001)
    assert 5 < len(list(iter_frames(tmp_path / "out.mkv"))) < 60
