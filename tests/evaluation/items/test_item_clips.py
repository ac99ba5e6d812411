import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from lightly_marlin.evaluation.items.item_clips import ItemClips, ItemWindows
from lightly_marlin.evaluation.items.item_places import ItemPlace, ItemPlaces


def places_of(*places):
    statuses = tuple("ok" if place else "missing" for place in places)
    return ItemPlaces(tuple(places), statuses, (None,) * len(places))


@pytest.fixture
def table(colored_table):
    return colored_table


def test_item_clips__reads_frames_of_the_stretch(colored_store, table):
    places = places_of(ItemPlace(3, 5, 25), None, ItemPlace(1, 0, 40))
    clips = ItemClips(
        table, colored_store, [0, 1, 2], places=places, num_frames=4, stride=3
    )
    assert len(clips) == 2
    starts = set()
    for draw in range(60):
        clip = clips[0, draw]
        # The stretch has 20 frames, a clip spans 10.
        match = [
            start
            for start in range(5, 16)
            if np.array_equal(
                clip["video"],
                colored_store[3].read_video([start + 3 * i for i in range(4)]),
            )
        ]
        starts.update(match)
    assert starts == set(range(5, 16))
    assert clip["video"].shape == (3, 4, 224, 224)
    assert clip["video"].dtype == torch.uint8
    assert clip["regions"].shape == (4, 28, 28)
    assert (clips[1, 0]["item"], clips[1, 0]["index"]) == (2, 1)
    assert clips[1, 0]["label"].tolist() == [0]
    assert clips.labels().tolist() == [[0], [0]]


def test_item_clips__short_stretch_repeats_its_last_frame(colored_store, table):
    places = places_of(ItemPlace(2, 10, 15))
    clips = ItemClips(table, colored_store, [0], places=places, num_frames=5, stride=2)
    expected = colored_store[2].read_video([10, 12, 14])[:, [0, 1, 2, 2, 2]]
    assert np.array_equal(clips[0]["video"], expected)
    cells = colored_store[2].read_cells([10, 12, 14]).bits[[0, 1, 2, 2, 2]]
    assert torch.equal(clips[0]["regions"], cells)


def test_item_clips__draws_do_not_depend_on_workers(colored_store, table):
    clips = ItemClips(table, colored_store, range(4), num_frames=4, seed=3)
    order = [(2, 5), (0, 5), (3, 6), (1, 6)]
    first = next(iter(DataLoader(clips, batch_size=4, sampler=order)))
    again = next(iter(DataLoader(clips, batch_size=4, sampler=order, num_workers=2)))
    assert torch.equal(first["video"], again["video"])
    assert first["item"].tolist() == [2, 0, 3, 1]
    other = ItemClips(table, colored_store, range(4), num_frames=4, seed=4)
    assert any(
        not torch.equal(clips[i, 0]["video"], other[i, 0]["video"]) for i in range(4)
    )


def test_item_windows__all_windows_of_every_item(colored_store, table):
    places = places_of(ItemPlace(0, 0, 40), None, ItemPlace(1, 4, 9))
    windows = ItemWindows(
        table, colored_store, [0, 1, 2], places=places, num_frames=8, stride=2
    )
    read = [windows[index] for index in range(len(windows))]
    assert [clip["item"] for clip in read] == [0, 0, 0, 2]
    assert [clip["index"] for clip in read] == [0, 1, 2, 3]
    for clip, start in zip(read, (0, 16, 24), strict=False):
        frames = [start + 2 * i for i in range(8)]
        assert np.array_equal(clip["video"], colored_store[0].read_video(frames))
    padded = colored_store[1].read_video([4, 6, 8])[:, [0, 1, 2, 2, 2, 2, 2, 2]]
    assert np.array_equal(read[3]["video"], padded)


def test_item_windows__some_windows_evenly_spaced(colored_store, table):
    options = {"num_frames": 2, "stride": 2}
    places = places_of(ItemPlace(0, 0, 40))
    every = ItemWindows(table, colored_store, [0], places=places, **options)
    some = ItemWindows(
        table, colored_store, [0], places=places, max_windows=2, **options
    )
    assert (len(every), len(some)) == (10, 2)
    for index, wanted in ((0, 2), (1, 7)):
        assert torch.equal(some[index]["video"], every[wanted]["video"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frames": 0}, "Invalid num_frames 0"),
        ({"stride": 0}, "Invalid stride 0"),
        ({"max_windows": 0}, "Invalid max_windows 0: must be 1 or more"),
    ],
)
def test_item_windows__invalid_options(colored_store, table, options, message):
    with pytest.raises(ValueError, match=message):
        ItemWindows(table, colored_store, [0], **options)
