import pyarrow as pa
import pytest

from lightly_marlin.store import FaceStore, split_tracks


class Store(FaceStore):
    """The two columns that splitting reads."""

    def __init__(self, sources):
        names = [f"{source}_{k}" for k, source in enumerate(sources)]
        columns = {"source": sources, "track_id": names}
        schema = pa.schema([(name, pa.string()) for name in columns])
        self._table = pa.table(columns, schema=schema)


SOURCES = [f"{number % 20}.mp4" for number in range(60)]


def test_split_tracks_keeps_videos_whole():
    train, held_out = split_tracks(Store(SOURCES), 0.25)
    videos = [{name.split("_")[0] for name in names} for names in (train, held_out)]
    assert videos[0].isdisjoint(videos[1])
    assert len(videos[1]) == 5
    assert len(train) + len(held_out) == 60


def test_split_tracks_ignores_order():
    def held_out(sources):
        names = split_tracks(Store(sources), 0.25)[1]
        return {name.split("_")[0] for name in names}

    assert held_out(SOURCES) == held_out(SOURCES[::-1])


def test_split_tracks_seed():
    splits = {tuple(split_tracks(Store(SOURCES), seed=seed)[1]) for seed in range(6)}
    assert len(splits) > 3


def test_split_tracks_of_chosen_tracks():
    """At least one of the chosen videos is held out, and nothing else is there."""
    store = Store(SOURCES)
    chosen = store.column("track_id")[:4]
    train, held_out = split_tracks(store, 0.1, tracks=chosen)
    assert len(held_out) == 1
    assert sorted(train + held_out) == sorted(chosen)
    assert split_tracks(store, tracks=store.column("track_id")) == split_tracks(store)


@pytest.mark.parametrize(
    ("share", "videos", "expected"),
    [(0.0, 10, 0), (0.01, 10, 1), (0.99, 10, 9), (0.5, 1, 0), (0.5, 0, 0)],
)
def test_split_tracks_extremes(share, videos, expected):
    store = Store([f"{number}.mp4" for number in range(videos)])
    assert len(split_tracks(store, share)[1]) == expected


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_split_tracks_invalid(share):
    with pytest.raises(ValueError, match="Invalid held_out"):
        split_tracks(Store(SOURCES), share)


def test_sorted_and_mixed_names_split_alike():
    """Runs of equal names are found without a table of all of them."""
    mixed = split_tracks(Store(SOURCES), 0.3)
    in_order = split_tracks(Store(sorted(SOURCES)), 0.3)
    assert [{n.split("_")[0] for n in part} for part in mixed] == [
        {n.split("_")[0] for n in part} for part in in_order
    ]
    assert sum(map(len, in_order)) == len(SOURCES)
