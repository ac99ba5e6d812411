import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

from lightly_marlin.evaluation.labels.reading import read_labels
from lightly_marlin.utils.errors import UsageError

NAN = float("nan")


@pytest.fixture
def write(tmp_path):
    def write(text, name="labels.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_text(text, encoding=encoding, newline="")
        return path

    return write


def test_read_labels__video_and_one_column_suffice(write):
    table = read_labels(write("video,mood\nb.mp4,sad\na.mp4,glad\nc.mp4,sad\n"))
    assert table.name == "labels"
    assert table.target.kind == "multiclass"
    assert table.target.names == ("glad", "sad")
    assert table.items == table.videos == table.groups == ("a.mp4", "b.mp4", "c.mp4")
    assert table.labels[:, 0].tolist() == [0, 1, 1]
    assert table.splits is None
    assert not table.has_stretches
    assert table.notes == ()


def test_read_labels__all_columns(write):
    text = (
        '\ufeffvideo,item,start,end,split,group,"smile, wide",talk\r\n'
        "faces\\a.mp4,one,0,1.5,Training,anna,1,0\r\n"
        "./faces/b.mp4,two,,2,dev,bert,,no\r\n\r\n"
        "c.mp4,three,3,,test,anna,0,yes\r\n"
    )
    table = read_labels(write(text))
    assert table.target.kind == "multilabel"
    assert table.target.names == ("smile, wide", "talk")
    assert table.items == ("one", "three", "two")
    assert table.videos == ("faces/a.mp4", "c.mp4", "faces/b.mp4")
    assert table.groups == ("anna", "anna", "bert")
    assert table.splits == ("train", "test", "val")
    np.testing.assert_array_equal(table.starts, [0, 3, NAN])
    np.testing.assert_array_equal(table.ends, [1.5, NAN, 2])
    np.testing.assert_array_equal(table.labels, [[1, 0], [0, 1], [NAN, 0]])


def test_read_labels__chosen_columns_and_roles(write):
    path = write(
        "video,mood,age,person,fold\na,sad,20.5,p1,train\nb,sad,30,p2,test\n"
        "c,glad,40,p1,train\n"
    )
    table = read_labels(path, ["age"], group="person", split="fold")
    assert (table.target.kind, table.target.names) == ("regression", ("age",))
    assert table.groups == ("p1", "p2", "p1")
    assert table.splits == ("train", "test", "train")
    # Columns with another use are no labels, so that only one is left.
    table = read_labels(write("video,mood,person\na,x,1\nb,y,2\nc,y,2"), group="person")
    assert table.target.names == ("x", "y")


def test_read_labels__rows_in_any_order_give_the_same(write):
    rows = [f"v{n}.mp4,{n % 3},{n / 4}" for n in range(20)]
    first = read_labels(write("video,mood,start\n" + "\n".join(rows)))
    random.Random(0).shuffle(rows)
    again = read_labels(write("video,mood,start\n" + "\n".join(rows)))
    assert first.items == again.items
    assert torch.equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.starts, again.starts)


def test_read_labels__stretches_of_long_videos_stay_apart(write):
    text = "video,start,end,x\na,1234.567,1234.568,1\na,1234.568,1234.569,0\n"
    items = read_labels(write(text)).items
    assert items == ("a[1234.567:1234.568]", "a[1234.568:1234.569]")


def test_read_labels__letters_composed_or_not_are_one_class(write):
    text = "video,x\na,fr\u00f6h\nb,fro\u0308h\nc,matt\n"
    table = read_labels(write(text))
    assert table.target.names == ("fr\u00f6h", "matt")
    assert table.labels.tolist() == [[0], [0], [1]]


def test_read_labels__empty_columns_and_labels_are_noted(write):
    table = read_labels(write("video,x,later\na,1,\nb,NA,\nc,0,\n"))
    assert table.target.names == ("x",)
    assert table.notes == (
        "Column 'later' is entirely empty and left out.",
        "1 of 3 items have no label.",
    )


def test_read_labels__the_index_that_pandas_writes_is_no_label(write):
    table = read_labels(write(",video,x\n0,a,1\n1,b,0\n"))
    assert table.target.names == ("x",)


def test_read_labels__parquet_equals_csv(write, tmp_path):
    columns = {
        "video": ["a.mp4", "b.mp4", "c.mp4"],
        "start": [0.5, None, NAN],
        "smile": [True, False, None],
        "talk": pa.array([1, 0, 1], pa.int8()),
        "__index_level_0__": [5, 6, 7],
    }
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "labels.parquet")
    table = read_labels(tmp_path / "labels.parquet")
    text = "video,start,smile,talk\na.mp4,.5,1,1\nb.mp4,,0,0\nc.mp4,,,1\n"
    other = read_labels(write(text))
    assert table.items == other.items
    assert table.target == other.target
    np.testing.assert_array_equal(table.labels, other.labels)


def test_read_labels__parquet_category_is_a_class(tmp_path):
    mood = pa.array(["sad", "glad", "sad"]).dictionary_encode()
    data = pa.table({"video": ["a", "b", "c"], "mood": mood})
    pyarrow.parquet.write_table(data, tmp_path / "my.parquet")
    table = read_labels(tmp_path / "my.parquet")
    assert table.name == "my"
    assert table.target.names == ("glad", "sad")


ERRORS = [
    ("mood\nx\n", {}, r"no column 'video'\. Its columns are 'mood'"),
    ("video,x\na,1\n", {"columns": ["y"]}, "no column 'y'. Its columns are 'video', "),
    ("video,x\na,1\n", {"group": "y"}, "no column for --group 'y'"),
    ("video,x\na,1\n", {"columns": ["video"]}, "'video' of .* cannot hold labels"),
    ("video,x\na,1\n", {"group": "x", "columns": ["x"]}, "'x' of .* cannot hold lab"),
    ("video,x\n", {}, "has no rows"),
    ("", {}, "is empty. Its first line names the columns"),
    ("video\na\n", {}, "has no column of labels. Its columns are 'video'"),
    ("video,x,x\na,1,0\n", {}, "two columns called 'x'"),
    ("video,x\na,1,2\n", {}, "row 2 has 3 cells, but there are 2 columns"),
    ("video,x\na,1\nb\n", {}, "row 3 has 1 cells"),
    ('video,x\na,"1\n', {}, "row 2 cannot be read as CSV: unexpected end of data"),
    ("video,x\na,1\n,0\n", {}, "row 3, column 'video': the cell is empty"),
    ("video,x,group\na,1,\nb,0,g\n", {}, "row 2, column 'group': the cell is empty"),
    ("video,x,item\na,1,i\nb,0,\n", {}, "row 3, column 'item': the cell is empty"),
    ("video,x,start\na,1,soon\n", {}, "row 2, column 'start': 'soon' is not a time"),
    ("video,x,start\na,1,-1\n", {}, "'-1' is not a time. .* at least 0"),
    ("video,x,end\na,1,inf\n", {}, "row 2, column 'end': 'inf' is not a time"),
    ("video,x,start,end\na,1,2,2\n", {}, "row 2, column 'end': the item ends at 2 s"),
    ("video,x,end\na,1,0\n", {}, "row 2, column 'end': the item ends at 0 s"),
    ("video,x,start,end\na,1,,0\n", {}, "row 2, column 'end': the item ends at 0 s"),
    (
        "video,x,split\na,1,eval\nb,0,test\n",
        {},
        "row 2, column 'split': 'eval' is not a split",
    ),
    ("video,x,split\na,1,\nb,0,test\n", {}, "row 2, column 'split': '' is not a split"),
    ("video,x\na,1\nb,0\na,0\n", {}, "row 4, column 'video': the item 'a' is already "),
    ("video,item,x\na,i,1\nb,i,0", {}, "row 3, column 'item': the item 'i' is already"),
    ("video,x\na,\nb,NaN\n", {}, "column 'x' of .* is entirely empty"),
    ("video,x,y\na,1,\nb,0,\n", {"columns": ["x", "y"]}, "'y' of .* is entirely empty"),
]


@pytest.mark.parametrize(("text", "options", "message"), ERRORS)
def test_read_labels__errors_name_file_row_and_column(write, text, options, message):
    path = write(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_labels(path, **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_read_labels__rows_are_lines_of_the_file(write):
    """A cell may hold a line break, and empty lines count as lines."""
    text = 'video,note,x\n\na,"two\nlines",1\nb,,0\nc,,maybe\n'
    with pytest.raises(UsageError, match="row 6, column 'x': 'maybe'"):
        read_labels(write(text), ["x"])


def test_read_labels__rows_of_parquet_count_from_one(tmp_path):
    data = pa.table({"video": ["a", "a"], "x": [1, 0]})
    pyarrow.parquet.write_table(data, tmp_path / "x.parquet")
    with pytest.raises(UsageError, match=r"row 2, column 'video': .* in row 1"):
        read_labels(tmp_path / "x.parquet")


def test_read_labels__files_that_cannot_be_read(write, tmp_path):
    with pytest.raises(UsageError, match=r"There is no file or folder .*missing"):
        read_labels(tmp_path / "missing")
    with pytest.raises(UsageError, match=r"its suffix is '\.xlsx'. Supported are .csv"):
        read_labels(write("PK", "labels.xlsx"))
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        read_labels(write("video,mood\na,gl\u00fccklich\n", encoding="latin-1"))
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        read_labels(write("video,x", "labels.parquet"))
    (tmp_path / "locked.csv").symlink_to(tmp_path / "locked.csv")
    with pytest.raises(UsageError, match="locked"):
        read_labels(tmp_path / "locked.csv")


def test_read_labels__nested_parquet_is_refused(tmp_path):
    data = pa.table({"video": ["a", "b"], "x": [[1, 0], [0, 1]]})
    pyarrow.parquet.write_table(data, tmp_path / "x.parquet")
    with pytest.raises(UsageError, match=r"'x' of .* holds lists or records"):
        read_labels(tmp_path / "x.parquet")


def test_read_labels__a_folder_has_no_columns(tmp_path):
    for name in ("sad/a.mp4", "glad/b.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert read_labels(tmp_path).videos == ("glad/b.mp4", "sad/a.mp4")
    assert len(read_labels(tmp_path, kind="multiclass")) == 2
    for options in ({"columns": ["x"]}, {"group": "x"}, {"kind": "binary"}):
        with pytest.raises(UsageError, match="is a folder per class"):
            read_labels(tmp_path, **options)
