"""Reader of sound: any format, aligned with the pictures, or one line."""

import os

import numpy as np
import pytest

from lightly_marlin.audio import AudioError, read_audio
from lightly_marlin.audio.reader import iter_audio, read_channels

BLACK = [np.zeros((64, 64, 3), np.uint8)] * 25
FRAME = 1 / 25


def click_seconds(samples, start, rate=16000):
    return np.abs(samples).argmax() / rate + start


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 96000])
def test_read_audio__any_rate(tmp_path, write_recording, click, rate):
    samples, start = read_audio(write_recording(tmp_path / "a.wav", click(rate), rate))
    assert samples.dtype == np.float32
    assert abs(len(samples) - 16000) <= 1
    assert start == 0
    assert click_seconds(samples, start) == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize(
    ("codec", "sample_format", "error"),
    [
        ("pcm_u8", "u8", 2**-7),
        ("pcm_s16le", "s16", 2**-15),
        ("pcm_s32le", "s32", 2**-23),
        ("pcm_f32le", "flt", 2**-23),
        ("pcm_f64le", "dbl", 2**-23),
        ("flac", "s16", 2**-15),
    ],
)
def test_read_audio__any_sample_format(
    tmp_path, write_recording, codec, sample_format, error
):
    written = np.random.default_rng(0).uniform(-0.99, 0.99, 5000)
    path = tmp_path / ("a.flac" if codec == "flac" else "a.wav")
    write_recording(path, written, codec=codec, sample_format=sample_format)
    np.testing.assert_allclose(read_audio(path)[0], written, atol=error)


@pytest.mark.parametrize(
    ("layout", "levels", "mono"),
    [
        ("stereo", [0.2, 0.6], 0.4),
        ("5.1", [0.5] * 6, 0.5),
        ("5.1", [0, 0, 0, 0.9, 0, 0], 0.0),  # The subwoofer.
        ("5.1", [1.0] * 6, 1.0),
    ],
)
def test_read_audio__mixes_channels(tmp_path, write_recording, layout, levels, mono):
    samples = np.repeat(np.array(levels)[:, None], 4000, axis=1)
    path = write_recording(tmp_path / "a.wav", samples, layout=layout)
    np.testing.assert_allclose(read_audio(path)[0], mono, atol=1e-3)


def test_read_audio__averages_channels_without_places(tmp_path):
    import wave

    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(9)
        file.setsampwidth(2)
        file.setframerate(16000)
        frames = np.tile(np.arange(1, 10, dtype=np.int16) * 1000, 3000)
        file.writeframes(frames.tobytes())
    samples, _ = read_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(samples, np.full(3000, 5000 / 32768), atol=1e-6)


def test_read_audio__loud_floats_stay_in_range(tmp_path, write_recording):
    path = tmp_path / "a.wav"
    write_recording(path, [2.0] * 2000, codec="pcm_f32le", sample_format="flt")
    np.testing.assert_allclose(read_audio(path)[0], 1)


def test_read_audio__sound_above_half_the_rate_is_lost(tmp_path, write_recording):
    tone = 0.5 * np.sin(2 * np.pi * 10000 * np.arange(48000) / 48000)
    samples, _ = read_audio(write_recording(tmp_path / "a.wav", tone, 48000))
    assert np.abs(samples[500:-500]).max() < 0.001


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.ts"])
@pytest.mark.parametrize("late", [-0.2, 0.0, 0.3])
def test_read_audio__sound_that_starts_early_or_late(
    tmp_path, write_recording, click, name, late
):
    """Pictures begin at 0.4 s, and the sound `late` after them."""
    path = write_recording(
        tmp_path / name,
        click(16000),
        codec="aac",
        sample_format="fltp",
        stamps=lambda _, begin: begin + round((0.4 + late) * 16000),
        pictures=BLACK,
        first_picture=10,
    )
    samples, start = read_audio(path)
    assert start == pytest.approx(late, abs=0.07)  # Up to a frame of AAC earlier.
    assert click_seconds(samples, start) == pytest.approx(late + 0.5, abs=0.002)


@pytest.mark.parametrize("seconds", [0.6, 3.0])
def test_read_audio__shorter_and_longer_than_the_pictures(
    tmp_path, write_recording, click, seconds
):
    path = write_recording(tmp_path / "a.mkv", click(16000, seconds), pictures=BLACK)
    samples, start = read_audio(path)
    assert len(samples) == seconds * 16000
    assert click_seconds(samples, start) == pytest.approx(0.5, abs=0.002)


def test_read_audio__gaps_are_silence(tmp_path, write_recording):
    """Blocks of 1000 samples, of which the second to fourth are missing."""
    path = write_recording(
        tmp_path / "a.mkv",
        np.full(8000, 0.5),
        stamps=lambda number, begin: None if 1 <= number <= 3 else begin,
    )
    samples, _ = read_audio(path)
    assert len(samples) == pytest.approx(8000, abs=16)
    np.testing.assert_allclose(samples[:1000], 0.5, atol=1e-3)
    assert (samples[1000:3980] == 0).all()
    np.testing.assert_allclose(samples[4020:], 0.5, atol=1e-3)


def test_read_audio__stamps_rounded_to_milliseconds_are_no_gaps(
    tmp_path, write_recording
):
    written = np.random.default_rng(0).uniform(-0.9, 0.9, 30000)
    samples, _ = read_audio(write_recording(tmp_path / "a.mkv", written, 11025), 11025)
    np.testing.assert_allclose(samples, written, atol=2**-15)


@pytest.mark.parametrize("late", [-0.21, 0.0, 0.3])
def test_iter_audio__blocks_are_those_of_read_audio(tmp_path, write_recording, late):
    """Also across a gap and an overlap of time stamps."""
    jumps = {3: 2000, 4: 2000, 6: -500, 7: -500, 8: 700}
    path = write_recording(
        tmp_path / "a.mkv",
        np.random.default_rng(0).uniform(-0.9, 0.9, 9000),
        stamps=lambda number, begin: (
            begin + jumps.get(number, 0) + round((0.4 + late) * 16000)
        ),
        pictures=BLACK,
        first_picture=10,
    )
    samples, start = read_audio(path)
    blocks = list(iter_audio(path))
    assert len(blocks) > 5
    assert blocks[0][0] == round(start * 16000)
    ends = [index + len(block) for index, block in blocks]
    assert ends[:-1] == [index for index, _ in blocks[1:]]
    np.testing.assert_array_equal(np.concatenate([b for _, b in blocks]), samples)
    assert len(samples) == pytest.approx(9700, abs=16)
    assert not samples[3020:4980].any()


def test_iter_audio__holds_a_block_at_a_time(tmp_path, write_recording):
    """The first block is there before the rest is read; nothing else is kept."""
    path = write_recording(tmp_path / "a.wav", np.full(160_000, 0.5))
    reader = iter_audio(path)
    _, first = next(reader)
    assert 0 < len(first) <= 4096
    reader.close()
    with pytest.raises(AudioError, match="cannot be opened"):
        next(iter_audio(tmp_path / "nowhere.wav"))
    with pytest.raises(ValueError, match="rate must be a positive integer, got 0"):
        next(iter_audio(path, 0))


def test_read_audio__damaged_stamps_are_not_filled(tmp_path, write_recording):
    path = write_recording(
        tmp_path / "a.mkv",
        np.full(4000, 0.5),
        stamps=lambda number, begin: begin + (3_000_000 * 16000 if number > 1 else 0),
    )
    samples, _ = read_audio(path)
    np.testing.assert_allclose(samples, np.full(4000, 0.5), atol=1e-3)


def test_read_audio__truncated_file(tmp_path, write_recording, click):
    whole = write_recording(tmp_path / "a.mkv", click(16000), pictures=BLACK)
    data = whole.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: int(len(data) * 0.7)])
    samples, start = read_audio(tmp_path / "cut.mkv")
    expected, _ = read_audio(whole)
    assert 8000 < len(samples) < 16000
    np.testing.assert_array_equal(samples, expected[: len(samples)])
    assert click_seconds(samples, start) == pytest.approx(0.5, abs=0.002)


def test_read_audio__damaged_samples_are_skipped(tmp_path, write_recording):
    written = np.full(8192, 0.25)
    written[3000] = np.nan
    path = tmp_path / "a.wav"
    write_recording(path, written, codec="pcm_f32le", sample_format="flt")
    samples, _ = read_audio(path)
    assert len(samples) > 4000
    assert {*np.unique(samples).tolist()} <= {0.0, 0.25}


def test_read_channels__keeps_stereo_and_mono(tmp_path, write_recording):
    stereo = np.repeat([[0.2], [0.6]], 2000, axis=1)
    write_recording(tmp_path / "2.wav", stereo, layout="stereo")
    channels, _ = read_channels(tmp_path / "2.wav", 16000, 2)
    np.testing.assert_allclose(channels, stereo, atol=2**-15)
    write_recording(tmp_path / "1.wav", stereo[0])
    assert read_channels(tmp_path / "1.wav", 16000, 2)[0].shape == (1, 2000)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"no sound\n" * 99, "cannot be opened: not a recording, or cut"),
    ],
)
def test_read_audio__no_media_file(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=f"{name}: {message}") as error:
        read_audio(tmp_path / name)
    assert "\n" not in str(error.value)


def test_read_audio__no_sound_no_file_no_rate(tmp_path, write_recording):
    from lightly_marlin.video import write_video

    write_video(tmp_path / "silent.mp4", BLACK)
    with pytest.raises(AudioError, match=r"silent\.mp4: has no audio stream"):
        read_audio(tmp_path / "silent.mp4")
    with pytest.raises(AudioError, match="cannot be opened: No such file"):
        read_audio(tmp_path / "nowhere.mp4")
    with pytest.raises(AudioError, match="is no regular file"):
        read_audio(tmp_path)
    with pytest.raises(ValueError, match="rate must be a positive integer, got 0"):
        read_audio(tmp_path / "silent.mp4", 0)


def test_read_audio__a_stream_without_samples(tmp_path):
    import wave

    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
    with pytest.raises(AudioError, match=r"a\.wav: no sample of its sound"):
        read_audio(tmp_path / "a.wav")


def test_read_audio__names_that_are_no_text(tmp_path, write_recording):
    path = write_recording(tmp_path / "a.wav", np.full(2000, 0.5))
    odd = tmp_path / os.fsdecode(b"\xff.wav")
    path.rename(odd)
    assert len(read_audio(odd)[0]) == 2000


@pytest.mark.real_data
def test_read_audio__real_speech(real_videos):
    samples, start = read_audio(real_videos / "lipsync_audio_03.mp4")
    assert start == pytest.approx(0, abs=0.05)
    assert 0.1 < np.abs(samples).max() <= 1
