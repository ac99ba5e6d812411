"""Talking faces of folders and of LRS2: who trains, and who is held out."""

import shutil

import pytest

from lightly_marlin.demo import write_demo_videos
from lightly_marlin.lip_sync.talking_data import (
    prepare_talking,
    print_left_out,
    split_talking,
    usable_tracks,
)
from lightly_marlin.utils.errors import UsageError


@pytest.fixture(scope="module")
def lrs2(tmp_path_factory):
    """A miniature of LRS2, with videos that no list is about."""
    root = tmp_path_factory.mktemp("data") / "mvlrs_v1"
    made = write_demo_videos(root / "made", num_clips=3, num_frames=20, talking=True)
    videos = sorted((root / "made").glob("*.mp4")) if made is None else sorted(made)
    for number, folder in enumerate(("a", "a", "b")):
        place = root / "main" / folder
        place.mkdir(parents=True, exist_ok=True)
        shutil.move(videos[number], place / f"{number:05d}.mp4")
    (root / "train.txt").write_text("a/00000 NF\nb/00002\n\n")
    (root / "val.txt").write_text("\ufeffa/00001 MV\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def store(lrs2, tmp_path_factory):
    return prepare_talking(lrs2, tmp_path_factory.mktemp("run") / "store")


def sources(store, names):
    found = dict(zip(store.column("track_id"), store.column("source"), strict=True))
    return [found[name] for name in names]


def test_lrs2__its_lists_decide(lrs2, store):
    names = usable_tracks(store, 5)
    split = split_talking(store, names, data=lrs2)
    assert sources(store, split.training) == ["a/00000.mp4", "b/00002.mp4"]
    assert sources(store, split.held_out) == ["a/00001.mp4"]


def test_lrs2__a_list_that_names_nothing_is_an_error(lrs2, store):
    names = [name for name in usable_tracks(store, 5) if "00001" not in name]
    with pytest.raises(UsageError, match=r"val\.txt names none of the 2 tracks"):
        split_talking(store, names, data=lrs2)


def test_folder__a_part_is_held_out_by_video(store, tmp_path):
    names = usable_tracks(store, 5)
    split = split_talking(store, names, data=tmp_path)
    assert (len(split.training), len(split.held_out)) == (2, 1)
    assert {*split.training, *split.held_out} == set(names)


def test_usable_tracks__none_is_an_error(store):
    with pytest.raises(UsageError, match="it has 20 frames at 25 per second; 32 are"):
        usable_tracks(store, 30)


def test_left_out__the_first_are_named(capsys):
    print_left_out({f"clip{k}": "it has no sound" for k in range(8)})
    said = capsys.readouterr().out.splitlines()
    assert said[4] == "left out: clip4: it has no sound"
    assert said[5:] == ["left out: 3 more tracks"]
