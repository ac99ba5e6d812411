"""FaceForensics++: pairs, methods, compressions, and all faults in one go."""

import json
import shutil
from collections import Counter

import pytest

from lightly_marlin.evaluation.tasks import load_task
from lightly_marlin.utils.errors import UsageError


def methods_of(table, split):
    fakes = [table.videos[index] for index in table.in_split(split)]
    return {video.split("/")[1] for video in fakes} - {"youtube"}


def test_faceforensics__has_the_videos_of_the_pairs(ff_tree):
    table = load_task("faceforensics", ff_tree)
    assert table.target.kind == "binary"
    assert table.target.names == ("fake",)
    # A pair has 2 reals and 2 fakes by each of 4 methods.
    assert Counter(table.splits) == {"train": 20, "val": 10, "test": 10}
    assert table.labels.sum() == 32
    assert table.items == table.videos
    assert all((ff_tree / video).is_file() for video in table.videos)
    on_disk = {p.relative_to(ff_tree).as_posix() for p in ff_tree.rglob("*.mp4")}
    assert set(table.videos) == on_disk
    for video, label in zip(table.videos, table.labels[:, 0], strict=True):
        assert video.startswith("manipulated_sequences/" if label else "original_seq")


def test_faceforensics__a_pair_is_a_group_with_its_reals(ff_tree):
    table = load_task("faceforensics", ff_tree)
    assert set(table.groups) == {"000_003", "001_002", "004_005", "006_007"}
    for video, group in zip(table.videos, table.groups, strict=True):
        stem = video.rpartition("/")[2].removesuffix(".mp4")
        assert set(stem.split("_")) <= set(group.split("_"))
    assert table.shared_groups() == 0


def test_faceforensics__takes_some_methods(ff_tree):
    shutil.rmtree(ff_tree / "manipulated_sequences/Deepfakes")
    table = load_task("faceforensics", ff_tree, methods=["FaceSwap", "Face2Face"])
    assert methods_of(table, "train") == {"FaceSwap", "Face2Face"}
    assert len(table) == 8 + 16


def test_faceforensics__trains_on_some_and_tests_on_others(ff_tree):
    options = {
        "train_methods": ("Deepfakes", "FaceSwap"),
        "test_methods": ("Face2Face",),
    }
    table = load_task("faceforensics", ff_tree, **options)
    assert methods_of(table, "train") == {"Deepfakes", "FaceSwap"}
    assert methods_of(table, "val") == {"Deepfakes", "FaceSwap"}
    assert methods_of(table, "test") == {"Face2Face"}
    assert Counter(table.splits) == {"train": 12, "val": 6, "test": 4}
    assert "Fakes in test are by Face2Face." in table.notes


@pytest.mark.parametrize("folder", ["raw", "c0"])
@pytest.mark.parametrize("option", ["raw", "c0"])
def test_faceforensics__raw_has_two_names(ff_tree, folder, option):
    for path in [*ff_tree.glob("*/*/c40")]:
        path.rename(path.with_name(folder))
    table = load_task("faceforensics", ff_tree, compression=option)
    assert all(f"/{folder}/videos/" in video for video in table.videos)


def test_faceforensics__splits_may_lie_elsewhere(ff_tree, tmp_path):
    (ff_tree / "dataset").mkdir()
    (ff_tree / "splits").rename(ff_tree / "dataset/splits")
    assert len(load_task("faceforensics", ff_tree)) == 40
    (ff_tree / "dataset/splits").rename(tmp_path / "mine")
    with pytest.raises(UsageError, match="of the splits is missing"):
        load_task("faceforensics", ff_tree)
    assert len(load_task("faceforensics", ff_tree, splits=str(tmp_path / "mine"))) == 40


def test_faceforensics__keeps_and_counts_videos_that_are_missing(ff_tree):
    gone = "manipulated_sequences/FaceSwap/c40/videos/006_007.mp4"
    (ff_tree / gone).unlink()
    table = load_task("faceforensics", ff_tree)
    assert len(table) == 40
    assert gone in table.items
    assert f"Videos that are not on disk: 1: {gone}." in table.notes


def test_faceforensics__reports_all_that_is_wrong(ff_tree):
    shutil.rmtree(ff_tree / "manipulated_sequences/Deepfakes/c40")
    (ff_tree / "splits/val.json").unlink()
    pairs = [["000", "003"], ["002"], ["001", "003"], [4, 5], ["007", "007"]]
    (ff_tree / "splits/train.json").write_text(json.dumps(pairs))
    stray = "original_sequences/youtube/c40/videos/999.mp4"
    (ff_tree / stray).touch()
    with pytest.raises(UsageError) as raised:
        load_task("faceforensics", ff_tree)
    for text in (
        "has 7 problems",
        "the folder manipulated_sequences/Deepfakes/c40/videos is missing",
        "val.json cannot be read",
        "pair 1 of train.json is ['002'], not two ids as text",
        "pair 2 of train.json has the video 003, which is in pair 0 of train.json",
        "pair 3 of train.json is [4, 5]",
        "pair 4 of train.json is ['007', '007']",
        "videos are in no split",
    ):
        assert text in str(raised.value)


def test_faceforensics__a_video_in_no_split(ff_tree):
    stray = "original_sequences/youtube/c40/videos/999.mp4"
    (ff_tree / stray).touch()
    with pytest.raises(UsageError, match=f"1 video is in no split: {stray}"):
        load_task("faceforensics", ff_tree)


def test_faceforensics__a_person_in_two_splits(ff_tree):
    (ff_tree / "splits/test.json").write_text('[["000", "007"]]')
    message = "pair 0 of test.json has the video 000, which is in pair 0 of train.json"
    with pytest.raises(UsageError, match=message):
        load_task("faceforensics", ff_tree)


def test_faceforensics__empty_tree(ff_tree):
    for path in ff_tree.rglob("*.mp4"):
        path.unlink()
    with pytest.raises(UsageError, match="its folders of videos are empty"):
        load_task("faceforensics", ff_tree)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"compression": "c30"},
            "'c30' of faceforensics. Supported values are c0, raw",
        ),
        ({"methods": ()}, "Invalid methods none"),
        ({"methods": ("DeepFakeDetection",)}, "has no official splits"),
    ],
)
def test_faceforensics__invalid_options(ff_tree, options, message):
    with pytest.raises(UsageError, match=message):
        load_task("faceforensics", ff_tree, **options)
