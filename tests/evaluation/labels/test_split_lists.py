import pytest

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.split_lists import read_splits
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.utils.errors import UsageError

VIDEOS = ["x/a.mp4", "x/b.mp4", "x/b.mp4", "x/c.mp4", "y/d.mp4", "y/e.avi"]


@pytest.fixture
def table():
    starts = [0.0, 0.0, 2.0, 0.0, 0.0, 0.0]
    return LabelTable.make(
        Target("binary", ("x",)),
        VIDEOS,
        [[0], [1], [0], [1], [0], [1]],
        items=["one", "b0", "b2", "c0", "d0", "e0"],
        starts=starts,
        splits=["test"] * 6,
        name="my_labels",
        notes=["before"],
    )


@pytest.fixture
def lists(tmp_path):
    def lists(**names):
        for split, text in names.items():
            (tmp_path / f"{split}.txt").write_text(text, encoding="utf-8")
        return tmp_path

    return lists


def test_read_splits__items_and_videos_with_or_without_suffix(table, lists):
    folder = lists(
        train="\ufeffone\n\nx/b.mp4\n", val=" y/d \r\n", test="c.mp4\ne\nunknown\nother"
    )
    split = read_splits(table, folder)
    assert dict(zip(split.items, split.splits, strict=True)) == {
        "one": "train",
        "b0": "train",
        "b2": "train",
        "d0": "val",
        "c0": "test",
        "e0": "test",
    }
    note = f"2 names in the lists of {folder} are no items, such as 'unknown'."
    assert split.notes == ("before", note)


def test_read_splits__items_in_no_list_are_left_out(table, lists):
    folder = lists(train="b0\nb0\n", test="b2\n")
    split = read_splits(table, folder)
    assert split.items == ("b0", "b2")
    assert split.splits == ("train", "test")
    assert split.labels[:, 0].tolist() == [1, 0]
    left = "4 items are in none of the lists of"
    assert split.notes[1].startswith(left)
    assert split.notes[1].endswith("left out, such as 'c0'.")


def test_read_splits__an_item_in_two_lists_is_an_error(table, lists):
    folder = lists(train="x/b\n", test="b2\n")
    with pytest.raises(
        UsageError, match=r"'b2' of my_labels is in train.txt and test.t"
    ):
        read_splits(table, folder)


def test_read_splits__errors(table, lists):
    with pytest.raises(UsageError, match=r"train.txt cannot be read: No such file"):
        read_splits(table, lists())
    with pytest.raises(UsageError, match=r"test.txt cannot be read: No such file"):
        read_splits(table, lists(train="one"))
    folder = lists(train="p\nq\n", test="r")
    with pytest.raises(UsageError, match=r"None of the 3 names .* such as 'b0'"):
        read_splits(table, folder)
    (folder / "test.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"test.txt is not UTF-8 text"):
        read_splits(table, folder)


def test_read_splits__a_name_that_fits_two_videos_is_an_error(lists):
    target = Target("binary", ("x",))
    table = LabelTable.make(target, ["x/a.mp4", "y/a.mp4"], [[0], [1]])
    with pytest.raises(UsageError, match="'a' of the labels fits several sources"):
        read_splits(table, lists(train="a", test="x/a"))
