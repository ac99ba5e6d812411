from dataclasses import replace

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation import item_features
from lightly_marlin.evaluation.items.item_places import ItemPlace, find_places
from lightly_marlin.evaluation.items.item_rows import choose_rows, stretch_of
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.features.feature_ledger import read_journal
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.store.format import VideoRecord
from lightly_marlin.video import write_video

NAN = float("nan")


class FakeStore:
    """Tracks and records in memory."""

    def __init__(self, rows, records=()):
        self._rows = rows
        self._records = list(records)

    def rows(self):
        return self._rows

    def records(self):
        return self._records


@pytest.fixture(scope="module")
def row(colored_store):
    """25 frames a second, 100 frames from frame 50 on."""
    return replace(
        colored_store[0].row,
        track_id="a_000",
        source="a.mp4",
        start_frame=50,
        num_frames=100,
        fps=25.0,
        face_width=60.0,
    )


def table(*stretches, video="a.mp4"):
    count = len(stretches)
    return LabelTable.make(
        Target("regression", ("x",)),
        [video] * count,
        torch.zeros(count, 1),
        items=[f"i{number}" for number in range(count)],
        starts=[start for start, _ in stretches],
        ends=[end for _, end in stretches],
    )


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [
        ((NAN, NAN), (0, 100)),
        # Frame 50 is at 2 s, frame 149 at 5.96 s.
        ((2.0, 6.0), (0, 100)),
        ((3.0, 4.0), (25, 50)),
        ((3.01, 4.01), (26, 51)),
        ((NAN, 3.0), (0, 25)),
        # The last frame is on the screen until 6 s.
        ((5.97, 5.99), (99, 100)),
        ((5.0, NAN), (75, 100)),
        ((-1.0, 2.04), (0, 1)),
        # Between the frames 75 and 76.
        ((3.01, 3.02), (25, 26)),
        # A rounded second does not cost a frame.
        ((3.0400001, 3.12), (26, 28)),
    ],
)
def test_find_places__seconds_to_frames(row, seconds, frames):
    found = find_places(table(seconds), FakeStore([row]))
    assert found.places == (ItemPlace(0, *frames),)
    assert found.statuses == ("ok",)
    assert found.reasons == (None,)


@pytest.mark.parametrize("seconds", [(0.0, 2.0), (6.0, 7.0), (6.5, 6.51)])
def test_find_places__no_face_within_the_seconds(row, seconds):
    found = find_places(table(seconds), FakeStore([row]))
    assert found.places == (None,)
    assert found.statuses == ("no_face",)
    assert found.reasons == ("no face in a.mp4 within its seconds",)


def test_find_places__largest_and_longest_within_the_seconds(row):
    """The large face is the main one where it is long enough, the small one else."""
    large = replace(row, track_id="a_001", start_frame=140, face_width=120.0)
    store = FakeStore([row, large])
    found = find_places(table((NAN, NAN), (2.0, 5.8), (5.0, 6.5)), store)
    assert [place.track for place in found.places] == [1, 0, 1]


def test_find_places__equal_tracks_by_name(row):
    twin = replace(row, track_id="a_001")
    for rows, wanted in (([row, twin], 0), ([twin, row], 1)):
        found = find_places(table((NAN, NAN)), FakeStore(rows))
        assert found.places[0].track == wanted


def test_find_places__statuses_of_videos_without_a_track(row):
    records = [
        VideoRecord("b.mp4", "no_face", "no face was found in its 9 frames"),
        VideoRecord("c.mp4", "failed", "it is empty"),
        VideoRecord("a.mp4", "ok"),
        # The index has not been written again yet.
        VideoRecord("e.mp4", "ok"),
    ]
    labels = LabelTable.make(
        Target("regression", ("x",)), ["a", "b", "c", "d", "e"], torch.zeros(5, 1)
    )
    found = find_places(labels, FakeStore([row], records))
    assert found.statuses == ("ok", "no_face", "failed", "missing", "failed")
    assert found.reasons == (
        None,
        "no face was found in its 9 frames",
        "it is empty",
        "no video of the store is called d",
        "the store holds no track of e.mp4",
    )
    assert found.found([3, 0, 1]) == [0]
    assert [found.count(status) for status in ("ok", "missing")] == [1, 1]


def test_find_places__ambiguous_video(row):
    rows = [replace(row, source="x/a.mp4"), replace(row, source="y/a.mp4")]
    with pytest.raises(ValueError, match=r"'a.mp4'.*'x/a.mp4' and 'y/a.mp4'"):
        find_places(table((NAN, NAN)), FakeStore(rows))


def test_find_places__of_a_real_store(colored_store, colored_table):
    found = find_places(colored_table, colored_store)
    assert found.count("ok") == 12
    assert [colored_store[place.track].source for place in found.places] == [
        f"v{number:02d}.mp4" for number in range(12)
    ]
    assert found.places[0].stop == 40


class Overlapping(FaceStore):
    """A store whose second track begins before the first one ends, and is larger."""

    def rows(self):
        first, second = super().rows()
        return [replace(first, face_width=40.0), replace(second, start_frame=60)]


def test_find_places__the_track_that_features_come_from(
    tmp_path, make_frames, fake_faces, encoder
):
    dark = make_frames(10, face=False)
    frames = np.concatenate([make_frames(100), dark, make_frames(70, seed=1)])
    (tmp_path / "videos").mkdir()
    options = {"codec": "ffv1", "pixel_format": "bgr0"}
    write_video(tmp_path / "videos" / "a.mkv", frames, 25.0, **options)
    prepare_videos(
        tmp_path / "videos", tmp_path / "store", num_workers=0, all_faces=True
    )
    store = Overlapping(tmp_path / "store")
    first, second = store.rows()
    assert (first.num_frames, second.num_frames, second.start_frame) == (100, 70, 60)
    rng = np.random.default_rng(0)
    starts = rng.uniform(-0.5, 6, 120)
    ends = np.maximum(0.01, starts + rng.choice([0.02, 0.3, 1.0, 3.0], 120))
    stretches = [(NAN, NAN), (NAN, 3.0), (2.0, NAN), *zip(starts, ends, strict=True)]
    items = table(*stretches, video="a.mkv")
    features = item_features(encoder, items, store, cache=tmp_path / "cache")
    (cache,) = (tmp_path / "cache").iterdir()
    rows = read_journal(cache)["a.mkv"].rows
    found = find_places(items, store)
    assert found.statuses == features.statuses
    assert {"ok", "no_face"} == set(found.statuses)
    tracks = []
    for item, place in enumerate(found.places):
        if place is not None:
            chosen = choose_rows(rows, stretch_of(items, item))
            tracks.append(chosen[0].track_id)
            assert store[place.track].track_id == tracks[-1]
            assert 0 <= place.start < place.stop <= store[place.track].num_frames
    assert set(tracks) == {first.track_id, second.track_id}
