"""Sound of a dubbed video: cut, filled up, and heard at the right time."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from lightly_marlin.audio import AudioError
from lightly_marlin.lip_sync.dubbing.dub_sound import (
    SOUND_RATE,
    DubSound,
    read_dub_sound,
)
from lightly_marlin.video import write_video


def make_sound(seconds, start=0.0, channels=1):
    count = round(seconds * SOUND_RATE)
    samples = np.linspace(0.1, 0.9, count, dtype=np.float32)
    mel = np.arange(round(80 * seconds), dtype=np.float32)[None].repeat(80, axis=0)
    return DubSound("talk.wav", np.stack([samples] * channels), start, mel)


def write_wav(path, samples, rate=16000):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate)
        stream.layout = "mono" if len(samples) == 1 else "stereo"
        values = (32767 * np.asarray(samples)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(
            values.T.reshape(1, -1), "s16", stream.layout.name
        )
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_fitted__cuts_and_fills_with_silence():
    sound = make_sound(1.0)
    assert np.array_equal(sound.fitted(0.5), sound.channels[0, :24000])
    longer = sound.fitted(1.5)
    assert np.array_equal(longer[:48000], sound.channels[0])
    assert len(longer) == 72000
    assert (longer[48000:] == 0).all()


def test_fitted__keeps_the_start_and_both_channels():
    early, late = make_sound(1.0, -0.25, 2), make_sound(1.0, 0.25, 2)
    assert np.array_equal(early.fitted(0.5), early.channels[:, 12000:36000])
    result = late.fitted(0.5)
    assert result.shape == (2, 24000)
    assert (result[:, :12000] == 0).all()
    assert np.array_equal(result[:, 12000:], late.channels[:, :12000])


def test_notes__say_what_is_cut_and_filled():
    assert make_sound(1.0).notes(1.02) == []
    assert make_sound(2.0).notes(0.5) == [
        "The sound is longer than the video (0.50 s): its last 1.50 s are cut."
    ]
    assert make_sound(1.0).notes(3.0) == [
        "The sound is shorter than the video (3.00 s): the last 2.00 s are silent."
    ]
    early, late = (make_sound(1.0, start).notes(1.0 + start) for start in (-0.25, 0.25))
    assert early == ["The sound begins 0.25 s before the pictures; that part is cut."]
    assert late == [
        "The sound begins 0.25 s after the pictures; until then there is silence."
    ]


def test_check__five_frames_or_all():
    make_sound(0.2).check(10, 25)
    make_sound(0.08).check(0.08, 25)
    for sound in (make_sound(0.19), make_sound(1.0, 9.9), make_sound(1.0, -2.0)):
        with pytest.raises(AudioError, match=r"lips need 0.20 s, which are 5 frames"):
            sound.check(10, 25)
    with pytest.raises(AudioError, match=r"^talk.wav: only 0.19 s of its sound lie"):
        make_sound(0.19).check(10, 25)


def test_windows__start_beside_their_frames():
    sound = make_sound(2.0, start=0.1)
    windows = sound.windows([0, 10, 20], Fraction(25))
    assert windows.shape == (3, 1, 80, 16)
    assert windows.dtype == torch.float32
    assert windows[:, 0, 0, 0].tolist() == [-4, 80 * 0.4 - 8, 80 * 0.8 - 8]


def test_read__sound_files_and_videos(tmp_path, make_frames):
    tone = 0.5 * np.sin(np.arange(16000) / 5)
    write_wav(tmp_path / "a.wav", [tone, -tone])
    stereo = read_dub_sound(tmp_path / "a.wav")
    assert stereo.channels.shape == (2, 48000)
    assert (stereo.start, stereo.mel.shape) == (0.0, (80, 81))
    write_video(tmp_path / "a.mp4", make_frames(25), audio=tone, audio_start=-0.2)
    sound = read_dub_sound(tmp_path / "a.mp4")
    assert len(sound.channels) == 1
    assert sound.end == pytest.approx(0.8, abs=0.07)


def test_read__no_sound(tmp_path, make_frames):
    write_video(tmp_path / "mute.mp4", make_frames(5))
    with pytest.raises(AudioError, match="has no audio stream"):
        read_dub_sound(tmp_path / "mute.mp4")
