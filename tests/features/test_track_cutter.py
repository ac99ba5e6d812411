import numpy as np
import pytest

from lightly_marlin.features import ExtractionOptions
from lightly_marlin.features.track_cutter import TrackCutter

STRETCHES = ((0.0, 0.2), (0.84, 0.9), (1.0, 1.1))


@pytest.mark.parametrize("reference", [False, True])
def test_all_windows_from_the_frames_that_are_needed(reference):
    options = ExtractionOptions(sample_rate=3, reference_windows=reference)
    cutter = TrackCutter(
        options,
        4,
        first_frame=10,
        track=1,
        length=30,
        stretches=STRETCHES,
        seconds=np.arange(40) / 25,
    )
    windows = []
    for row in range(30):
        assert cutter.needs_next == cutter.needs(row)
        frame = np.full((1, 1, 3), 10 + row, np.uint8)
        windows += cutter.add(frame if cutter.needs_next else None)
    windows += cutter.finish()
    for window in windows:
        place = window.place
        frames = list(range(place.start_frame, place.last_frame + 1, window.step))
        frames += frames[-1:] * (4 - len(frames))
        assert window.clip[:, 0, 0, 0].tolist() == frames
        assert window.track == 1
    # The first stretch is before the track, which begins at 0.4 s.
    assert [w.stretch for w in windows if w.stretch] == [*STRETCHES[1:]]


def test_without_stretches_it_is_the_plain_cutter():
    cutter = TrackCutter(ExtractionOptions(), 16)
    assert [row for row in range(6) if cutter.needs(row)] == [0, 2, 4]
