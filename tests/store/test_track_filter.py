import argparse
import dataclasses
from pathlib import Path

import pyarrow as pa
import pytest

from lightly_marlin.data import FaceClips
from lightly_marlin.store import FaceStore, TrackFilter, TrackRow, add_filter_options
from lightly_marlin.store import track_filter as module
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.utils.errors import UsageError

COLUMNS = {
    "track_id": ["a", "b", "c", "d"],
    "face_width": [30.0, 64.0, 100.0, 200.0],
    "num_frames": [16, 32, 64, 128],
    "coverage": [0.2, 0.5, 0.9, 1.0],
    "landmark_confidence": [0.9, None, 0.4, 0.8],
    "sharpness": [0.05, 0.1, 0.2, 0.3],
    "brightness": [20.0, 90.0, 130.0, 250.0],
    "contrast": [5.0, 20.0, 40.0, 60.0],
    "max_abs_yaw": [80.0, 45.0, 10.0, 0.0],
    "box_jitter": [0.05, 0.01, 0.0, 0.002],
}


class Store(FaceStore):
    """Four tracks with the columns that a filter reads."""

    def __init__(self, num_tracks=4):
        self.path = Path("store")
        self._table = pa.table(COLUMNS).slice(0, num_tracks)


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({}, "abcd"),
        ({"min_face": 64}, "bcd"),
        ({"min_frames": 33}, "cd"),
        ({"min_coverage": 0.5}, "bcd"),
        ({"min_confidence": 0.0}, "acd"),
        ({"min_confidence": 0.5}, "ad"),
        ({"min_sharpness": 0.15}, "cd"),
        ({"min_brightness": 30, "max_brightness": 200}, "bc"),
        ({"min_contrast": 20}, "bcd"),
        ({"max_yaw": 45}, "bcd"),
        ({"max_jitter": 0}, "c"),
        ({"min_face": 64, "max_yaw": 10, "max_jitter": 0.001}, "c"),
    ],
)
def test_limits_choose_tracks(limits, kept):
    assert "".join(TrackFilter(**limits).select(Store())) == kept


def test_nothing_left_says_what_each_limit_removes():
    chosen = TrackFilter(min_face=150, max_brightness=100)
    assert not chosen.mask(Store()).any()
    with pytest.raises(UsageError) as error:
        chosen.select(Store())
    assert "Of 4 tracks, min_face 150 removes 3, max_brightness 100 removes 2." in str(
        error.value
    )


def test_an_empty_store_has_nothing_to_remove():
    assert TrackFilter(min_face=10).select(Store(0)) == []


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_limits_that_are_no_limits(value):
    with pytest.raises(UsageError, match="Invalid max_yaw"):
        TrackFilter(max_yaw=value)


def test_every_limit_has_a_column_an_option_and_a_setting():
    names = {field.name: field for field in dataclasses.fields(TrackFilter)}
    columns = {field.name for field in dataclasses.fields(TrackRow)}
    assert names.keys() == module._COLUMNS.keys()
    assert set(module._COLUMNS.values()) <= columns
    settings = {field.name: field for field in dataclasses.fields(PretrainSettings)}
    for name, field in names.items():
        assert (settings[name].type, settings[name].default) == (field.type, None)


def test_options_become_a_filter():
    parser = argparse.ArgumentParser()
    add_filter_options(parser)
    options = parser.parse_args(["--min-face", "64", "--min-frames", "20"])
    chosen = TrackFilter.from_options({**vars(options), "store": "x"})
    assert chosen == TrackFilter(min_face=64, min_frames=20)
    assert chosen.limits() == {"min_face": 64, "min_frames": 20}


def test_a_real_index_is_filtered(videos, tmp_path, fake_faces):
    from lightly_marlin.preparation import prepare_videos
    from lightly_marlin.store import FaceStore

    prepare_videos(videos, tmp_path / "store", num_workers=0)
    store = FaceStore(tmp_path / "store")
    tracks = TrackFilter(min_frames=30).select(store)
    clips = FaceClips(store, tracks=tracks)
    assert clips.track_ids == [store[0].track_id]
    with pytest.raises(UsageError, match="min_confidence"):
        TrackFilter(min_confidence=0.5).select(store)
