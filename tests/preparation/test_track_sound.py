"""Sound of tracks: each sample at its time, whatever blocks and tracks there are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.audio import AudioError, read_audio
from lightly_marlin.audio.samples import to_int16
from lightly_marlin.preparation import track_sound
from lightly_marlin.preparation.track_sound import TrackSound, write_sounds

RATE = 16000


def sound_of(path, begin, num_samples):
    """A track of frames at 8000 per second, so that two samples are a frame."""
    seconds = begin / RATE + np.arange(num_samples // 2) / 8000
    return TrackSound(path, seconds, 8000)


def run(blocks, start, sounds):
    """Writes tracks from blocks that begin with sample `start`."""

    def read(path):
        index = start
        for block in blocks:
            yield index, block
            index += len(block)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(track_sound, "iter_audio", read)
        write_sounds("a.mp4", sounds)


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    start=st.integers(-60, 90),
    places=st.lists(
        st.tuples(st.integers(0, 120), st.integers(1, 50)), min_size=1, max_size=5
    ),
    seed=st.integers(0, 99),
)
def test_write_sounds__each_sample_at_its_time(
    tmp_path_factory, lengths, start, places, seed
):
    folder = tmp_path_factory.mktemp("sound")
    recording = np.random.default_rng(seed).uniform(-1, 1, sum(lengths))
    blocks = np.split(recording.astype(np.float32), np.cumsum(lengths)[:-1])
    sounds = [
        sound_of(folder / f"{number}.mov", begin, 2 * num_frames)
        for number, (begin, num_frames) in enumerate(places)
    ]
    run(blocks, start, sounds)
    # Naively: the whole recording amid much silence.
    padded = np.zeros(1000, np.int16)
    padded[100 + start : 100 + start + len(recording)] = to_int16(
        recording.astype(np.float32)
    )
    for number, (begin, num_frames) in enumerate(places):
        written = np.load(folder / f"{number}.audio.npy")
        assert written.dtype == np.int16
        assert written.tolist() == padded[100 + begin :][: 2 * num_frames].tolist()
        times = np.load(folder / f"{number}.seconds.npy")
        np.testing.assert_allclose(times, np.arange(num_frames) / 8000, atol=1e-9)


def test_write_sounds__stops_after_the_last_track(tmp_path):
    taken = []

    def blocks():
        for number in range(100):
            taken.append(number)
            yield np.full(10, 0.5, np.float32)

    run(blocks(), 0, [sound_of(tmp_path / "a.mov", 4, 20)])
    assert taken == [0, 1, 2]


def test_write_sounds__writes_nothing_without_sound(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(AudioError, match="not a recording"):
        write_sounds(tmp_path / "a.mp4", [sound_of(tmp_path / "a.mov", 0, 20)])
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_write_sounds__time_lapses_do_not_fill_the_disk(tmp_path):
    """Nor do time stamps that jump by a month."""
    seconds = np.array([0.0, 0.04, 0.08, 2.6e6])
    with pytest.raises(AudioError, match="frames are 650000 seconds apart"):
        write_sounds(tmp_path / "a.mp4", [TrackSound(tmp_path / "a.mov", seconds, 25)])
    assert not list(tmp_path.iterdir())


def test_track_sound__lasts_as_long_as_its_frames_are_shown(tmp_path):
    frames = np.arange(30) / 25
    sound = TrackSound(tmp_path / "a.mov", frames[12:], 25)
    assert (sound.begin, sound.num_samples) == (12 * 640, 18 * 640)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["lipsync_audio_01.mpg", "lipsync_audio_03.mp4"])
def test_write_sounds__real_speech(real_videos, tmp_path, name):
    """A track from the middle has what `read_audio` hears at that time."""
    samples, start = read_audio(real_videos / name)
    seconds = 0.4 + np.arange(20) / 25
    sound = TrackSound(tmp_path / "a.mov", seconds, 25)
    write_sounds(real_videos / name, [sound])
    written = np.load(tmp_path / "a.audio.npy")
    first = sound.begin - round(start * RATE)
    assert np.array_equal(written, to_int16(samples[first : first + len(written)]))
    assert written.std() > 100
