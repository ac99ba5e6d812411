import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.audio import mel_spectrogram
from lightly_marlin.lip_sync.sound_windows import (
    MEL_BANDS,
    MEL_RATE,
    SILENCE,
    mel_steps,
    mel_windows,
)


def ramp(steps=100):
    """A spectrogram in which every value is the number of its step."""
    return torch.arange(float(steps)).expand(80, -1)


def starts(frames, fps):
    return mel_windows(ramp(2000), frames, fps)[:, 0, 0, 0].tolist()


def noise(samples, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


def test_constants_are_those_of_the_spectrogram():
    silent = mel_spectrogram(np.zeros(16000))
    assert silent.shape == (MEL_BANDS, MEL_RATE + 1)
    assert (silent == SILENCE).all()


def test_mel_steps():
    assert [mel_steps(n) for n in (1, 5, 6, 10, 16, 25)] == [4, 16, 20, 32, 52, 80]


def test_mel_windows__known_starts():
    assert starts(range(8), 25) == [0, 3, 6, 9, 12, 16, 19, 22]
    assert starts(range(8), 25.0) == [0, 3, 6, 9, 12, 16, 19, 22]
    assert starts(range(7), 29.97) == [0, 2, 5, 8, 10, 13, 16]
    assert starts([0, 1, 3, 60], 60) == [0, 1, 4, 80]
    assert starts([375], Fraction(30000, 1001)) == [1001]


@settings(max_examples=50, deadline=None)
@given(
    fps=st.floats(1, 120),
    frames=st.lists(st.integers(-20, 400), max_size=4),
    steps=st.integers(1, 60),
    length=st.integers(0, 300),
    delay=st.integers(-30, 30),
)
def test_mel_windows__equals_a_transcription(fps, frames, steps, length, delay):
    windows = mel_windows(ramp(length), frames, fps, steps, sound_start=delay / 80)
    assert windows.shape == (len(frames), 1, 80, steps)
    for window, frame in zip(windows[:, 0], frames, strict=True):
        first = math.floor(80 * frame / fps) - delay
        expected = [i if 0 <= i < length else -4 for i in range(first, first + steps)]
        assert window[0].tolist() == window[79].tolist() == expected


def test_mel_windows__sound_that_starts_late_is_sound_after_silence():
    """Away from the edge, where windows of the Fourier transform hold both."""
    sound = noise(8000)
    late = mel_spectrogram(np.concatenate([np.zeros(4000), sound]))
    expected = mel_windows(late, range(20), 25)
    got = mel_windows(mel_spectrogram(sound), range(20), 25, sound_start=0.25)
    for frame in (0, 1, 8, 9, 10):
        torch.testing.assert_close(got[frame], expected[frame], atol=1e-4, rtol=0)
    assert (got[0] == -4).all()
    assert got[8].std() > 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_mel_windows__dtype_stays(dtype):
    assert mel_windows(ramp().to(dtype), [0], 25).dtype == dtype


def test_mel_windows__arrays_are_tensors():
    mel = mel_spectrogram(noise(4000))
    windows = mel_windows(mel, range(3), 25, 52)
    assert torch.equal(windows, mel_windows(torch.tensor(mel), range(3), 25, 52))
    assert windows.dtype == torch.float32


def test_mel_windows__of_no_sound_and_no_frames():
    assert (mel_windows(ramp(0), range(2), 25) == -4).all()
    assert mel_windows(ramp(), [], 25).shape == (0, 1, 80, 16)


def test_mel_windows__errors():
    with pytest.raises(ValueError, match=r"mel must be .* \(80, S\), got shape \(100,"):
        mel_windows(ramp().T, [0], 25)
    with pytest.raises(ValueError, match=r"floating-point .* torch.int64"):
        mel_windows(ramp().long(), [0], 25)
    for fps in (0, -25, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"fps must be a positive number.* {fps}"):
            mel_windows(ramp(), [0], fps)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        mel_windows(ramp(), [0], 25, 0)
