"""Writer of videos: options, sound in its place, and equal frames in equal files."""

import os
import sys

import av
import numpy as np
import pytest

from lightly_marlin.audio import read_audio
from lightly_marlin.audio.reader import read_channels
from lightly_marlin.video import VideoReader, iter_frames, write_video


def click(rate=16000):
    """A second of silence with a click of 1 ms in its middle."""
    samples = np.zeros(rate)
    samples[rate // 2 : rate // 2 + rate // 1000] = 0.9
    return samples


def test_write_video__passes_options_to_the_encoder(tmp_path, make_frames):
    frames = make_frames(8)
    sizes = []
    for crf in ("10", "45"):
        path = tmp_path / f"{crf}.mp4"
        write_video(path, frames, options={"crf": crf})
        assert len(list(iter_frames(path))) == 8
        sizes.append(path.stat().st_size)
    assert sizes[1] < sizes[0] / 2


def test_write_video__is_reproducible(tmp_path, make_frames):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, make_frames(8), options={"preset": "veryfast"})
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_write_video__the_same_frames_give_the_same_file(tmp_path, make_frames):
    frames = make_frames(24, 128, 160)
    for number in range(8):
        write_video(tmp_path / f"{number}.mp4", frames, 25.0)
    files = {(tmp_path / f"{number}.mp4").read_bytes() for number in range(8)}
    assert len(files) == 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts"])
@pytest.mark.parametrize("start", [-0.2, 0.0, 0.32])
def test_write_video__sound_keeps_its_place(tmp_path, make_frames, name, start):
    """A click 0.5 s into the sound comes back within a millisecond, not a frame."""
    write_video(
        tmp_path / name, make_frames(30, 64, 64), audio=click(), audio_start=start
    )
    samples, begin = read_audio(tmp_path / name)
    heard = np.abs(samples).argmax() / 16000 + begin
    assert heard == pytest.approx(0.5 + start, abs=0.001)
    assert len(list(iter_frames(tmp_path / name))) == 30


@pytest.mark.parametrize("rate", [8000, 22000, 44100, 96000])
def test_write_video__sound_of_any_rate(tmp_path, make_frames, rate):
    write_video(
        tmp_path / "a.mp4", make_frames(16, 64, 64), audio=click(rate), audio_rate=rate
    )
    samples, begin = read_audio(tmp_path / "a.mp4")
    heard = np.abs(samples).argmax() / 16000 + begin
    assert heard == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("seconds", [0.01, 0.6, 3.0])
def test_write_video__sound_shorter_and_longer_than_the_pictures(
    tmp_path, make_frames, seconds
):
    length = int(seconds * 16000)
    write_video(tmp_path / "a.mp4", make_frames(25, 64, 64), audio=np.full(length, 0.1))
    samples, _ = read_audio(tmp_path / "a.mp4")
    assert length <= len(samples) <= length + 1024
    assert len(list(iter_frames(tmp_path / "a.mp4"))) == 25


def test_write_video__sound_lies_beside_its_pictures(tmp_path, make_frames):
    """Players read a file from its beginning: no second of one kind alone."""
    sound = 0.1 * np.random.default_rng(0).standard_normal(5 * 16000)
    write_video(tmp_path / "a.mp4", make_frames(125, 64, 64), audio=sound)
    with av.open(str(tmp_path / "a.mp4")) as container:
        packets = [
            (packet.pos, packet.stream.type, float(packet.pts * packet.time_base))
            for packet in container.demux()
            if packet.size
        ]
    latest = {"video": 0.0, "audio": 0.0}
    for _, kind, seconds in sorted(packets):
        latest[kind] = seconds
        assert abs(latest["video"] - latest["audio"]) < 1.5
    assert min(latest.values()) > 4.8


def test_write_video__same_sound_same_file(tmp_path, make_frames):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, make_frames(8, 64, 64), audio=click())
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"audio": np.zeros((3, 9))}, r"samples must have the shape \(n,\)"),
        ({"audio": np.array([np.nan])}, "samples must be finite, got nan at index 0"),
        ({"audio": np.zeros(0)}, "audio of 0 samples from 0 s on leaves nothing"),
        ({"audio": np.zeros(9), "audio_start": -1}, "9 samples from -1 s on leaves"),
        ({"audio": np.zeros(9), "audio_start": np.nan}, "audio_start must be at most"),
        ({"audio": np.zeros(9), "audio_start": 1e9}, "at most 3600 seconds, got 10{9}"),
        ({"audio": np.zeros(9), "audio_rate": 0}, "audio_rate must be a positive"),
    ],
)
def test_write_video__refuses_impossible_sound(tmp_path, make_frames, options, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "a.mp4", make_frames(4, 64, 64), **options)
    assert list(tmp_path.iterdir()) == []


def test_write_video__stereo_stays_stereo(tmp_path, make_frames):
    silence = np.zeros(16000)
    sound = np.stack([click(), silence])
    write_video(tmp_path / "a.mp4", make_frames(25, 64, 64), audio=sound)
    channels, _ = read_channels(tmp_path / "a.mp4", 16000, 2)
    assert channels.shape[0] == 2
    assert np.abs(channels[0]).max() > 0.4
    assert np.abs(channels[1]).max() < 0.01


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_write_video__times_of_a_variable_frame_rate(tmp_path, make_frames, name):
    seconds = 5 + np.cumsum([0.02 + 0.05 * (index % 4 == 0) for index in range(30)])
    frames = make_frames(30, 64, 64)
    write_video(tmp_path / name, frames, 30, seconds=seconds, audio=click())
    with VideoReader(tmp_path / name) as reader:
        assert len(list(reader)) == 30
        # Matroska rounds to milliseconds.
        assert np.abs(reader.seconds - (seconds - seconds[0])).max() < 1e-3
    samples, begin = read_audio(tmp_path / name)
    heard = np.abs(samples).argmax() / 16000 + begin
    assert heard == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        ([0, 1, 1, 2], "seconds must ascend"),
        ([0, np.nan, 2, 3], "seconds must ascend"),
        ([0, 1], "seconds ends after 2 frames of more"),
    ],
)
def test_write_video__refuses_impossible_times(tmp_path, make_frames, seconds, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "a.mp4", make_frames(4, 64, 64), seconds=seconds)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_write_video__metadata(tmp_path, make_frames, name):
    notes = {"comment": "Drawn by a test; größer than ASCII.", "title": "Waves"}
    write_video(tmp_path / name, make_frames(4, 64, 64), metadata=notes)
    with av.open(str(tmp_path / name)) as container:
        found = {key.lower(): value for key, value in container.metadata.items()}
    assert notes.items() <= found.items()


def test_write_video__is_whole_or_not_there(tmp_path, make_frames):
    def frames():
        yield from make_frames(4, 64, 64)
        raise RuntimeError("no more")

    (tmp_path / "a.mp4").write_bytes(b"earlier")
    with pytest.raises(RuntimeError, match="no more"):
        write_video(tmp_path / "a.mp4", frames())
    assert (tmp_path / "a.mp4").read_bytes() == b"earlier"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads the scheduling of Linux")
def test_write_video__leaves_the_thread_as_it_was(tmp_path, make_frames):
    if "libsvtav1" not in av.codecs_available:
        pytest.skip("this FFmpeg has no libsvtav1")
    policies = [os.sched_getscheduler(0)]

    def frames():
        for frame in make_frames(3):
            yield frame
            policies.append(os.sched_getscheduler(0))

    write_video(tmp_path / "a.mkv", frames(), codec="libsvtav1")
    policies.append(os.sched_getscheduler(0))
    # Real-time for the superuser if the encoder had its way.
    assert policies == [os.SCHED_OTHER] * 5
