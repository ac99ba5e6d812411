"""Offsets of the tracks of a store, measured once, and who stays."""

import pytest

from lightly_marlin.demo import demo_store
from lightly_marlin.lip_sync import (
    SyncExpert,
    measure_offsets,
    track_curve,
    tracks_in_sync,
)
from lightly_marlin.lip_sync.measures import tracks_in_sync as module


def test_tracks_in_sync__names_what_is_left_out():
    offsets = {"a": 0, "b": -1, "c": 2, "d": None, "e": -7}
    kept, reasons = tracks_in_sync(offsets, 1)
    assert kept == ["a", "b", "d"]
    assert reasons == {
        "c": "its sound is 2 frames early",
        "e": "its sound is 7 frames late",
    }
    assert tracks_in_sync({"b": -1}, 0)[1] == {"b": "its sound is 1 frame late"}


def test_measure_offsets__keeps_what_it_measured(tmp_path, monkeypatch):
    store = demo_store(tmp_path / "s", num_clips=2, num_frames=24, audio=True)
    names, table = store.column("track_id"), tmp_path / "offsets.csv"
    expert = SyncExpert(width=1).eval()
    first = measure_offsets(expert, store, names[:1], table)
    assert first == {names[0]: track_curve(expert, store[0]).offset}
    measured = []

    def curve(_, track):
        measured.append(track.track_id)

    monkeypatch.setattr(module, "track_curve", curve)
    assert measure_offsets(expert, store, names, table) == {**first, names[1]: None}
    assert measured == names[1:]
    assert measure_offsets(expert, store, names, table) == {**first, names[1]: None}
    assert measured == names[1:]
    header, *rows = table.read_text().splitlines()
    assert header == "track,offset,confidence"
    assert rows[1] == f"{names[1]},,"
    assert float(rows[0].split(",")[2]) == pytest.approx(
        track_curve(expert, store[0]).confidence, abs=1e-6
    )
