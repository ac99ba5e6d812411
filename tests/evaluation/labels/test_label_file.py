"""Files of labels as text, with the row numbers that an editor shows."""

import pyarrow as pa
import pyarrow.parquet
import pytest

from lightly_marlin.evaluation.labels.label_file import LabelFile, read_label_file
from lightly_marlin.utils.errors import UsageError


@pytest.fixture
def write(tmp_path):
    def write(text, name="labels.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode("utf-8"))
        return path

    return write


@pytest.fixture
def write_parquet(tmp_path):
    def write(columns, name="labels.parquet"):
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / name)
        return tmp_path / name

    return write


def test_read_label_file__cells_without_space_and_rows_as_lines(write):
    path = write("\ufeff video , x\r\n a.mp4 ,1\r\n\r\nb.mp4,\t0 \r\n")
    file = read_label_file(path)
    assert file == LabelFile(
        path, {"video": ["a.mp4", "b.mp4"], "x": ["1", "0"]}, [2, 4]
    )


def test_read_label_file__a_row_begins_where_its_first_line_is(write):
    file = read_label_file(write('video,note\na,"one, two\nthree"\nb,""\n'))
    assert file.columns["note"] == ["one, two\nthree", ""]
    assert file.rows == [2, 4]


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", "NA", "N/A", "n/a", "NULL"])
def test_read_label_file__empty_cells(write, cell):
    assert read_label_file(write(f"a,b\n{cell},1\n")).columns["a"] == [""]


@pytest.mark.parametrize("cell", ["none", "None", "0", "no", "nano", "-"])
def test_read_label_file__cells_that_look_empty(write, cell):
    assert read_label_file(write(f"a,b\n{cell},1\n")).columns["a"] == [cell]


def test_read_label_file__one_form_of_a_letter(write):
    file = read_label_file(write("x,y\nfro\u0308h,fr\u00f6h\n"))
    assert file.columns["x"] == file.columns["y"] == ["fr\u00f6h"]


def test_read_label_file__columns_without_a_name_are_left_out(write):
    file = read_label_file(write(",video,\n0,a,x\n1,b,y\n"))
    assert file.columns == {"video": ["a", "b"]}


def test_read_label_file__suffix_in_capitals(write):
    assert read_label_file(write("a\n1\n", "LABELS.CSV")).columns == {"a": ["1"]}


def test_read_label_file__parquet_as_text(write_parquet):
    path = write_parquet(
        {
            "video": [" a ", None, "c"],
            "x": [1.5, float("nan"), None],
            "talks": [True, False, None],
            "__index_level_0__": [7, 8, 9],
        }
    )
    file = read_label_file(str(path))
    assert file.path == path
    assert file.columns == {
        "video": ["a", "", "c"],
        "x": ["1.5", "", ""],
        "talks": ["True", "False", ""],
    }
    assert file.rows == [1, 2, 3]


def test_column__names_what_there_is(write):
    file = read_label_file(write("video,x\na,1\n"))
    assert file.column("x") == ["1"]
    message = r"labels\.csv has no group 'y'\. Its columns are 'video', 'x'\."
    with pytest.raises(UsageError, match=message):
        file.column("y", "group")


def test_error__names_file_row_and_column(write):
    path = write("video,x\n\na,1\nb,2\n")
    error = read_label_file(path).error("'2' is odd.", column="x", index=1)
    assert isinstance(error, UsageError)
    assert str(error) == f"{path}, row 4, column 'x': '2' is odd."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is empty\. Its first line names the columns"),
        ("\n \n", r"is empty\."),
        ("video,x\n", "has no rows below the names of its columns"),
        ("video,x,x\na,1,2\n", r"two columns called 'x'\. Rename one"),
        ("video,x\na,1\nb,2,3\n", "row 3 has 3 cells, but there are 2 columns"),
        ('video,x\na,"1\n', "row 2 cannot be read as CSV: unexpected end of data"),
    ],
)
def test_read_label_file__damaged_csv(write, text, message):
    path = write(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_label_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_read_label_file__other_encodings(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("x\nsch\u00f6n\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"not UTF-8 text \(invalid .* at byte 5\)"):
        read_label_file(path)


def test_read_label_file__damaged_parquet(write, write_parquet):
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        read_label_file(write("PAR1", "a.parquet"))
    with pytest.raises(UsageError, match=r"'x' of .* holds lists or records"):
        read_label_file(write_parquet({"video": ["a"], "x": [[1, 2]]}))
    with pytest.raises(UsageError, match="has no rows"):
        read_label_file(write_parquet({"video": pa.array([], pa.string())}))


def test_read_label_file__what_is_no_file(tmp_path):
    with pytest.raises(UsageError, match=r"There is no file or folder .*gone\.csv"):
        read_label_file(tmp_path / "gone.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=r"folder\.csv cannot be read: Is a directory"):
        read_label_file(tmp_path / "folder.csv")
    (tmp_path / "a.txt").touch()
    with pytest.raises(UsageError, match=r"suffix is '\.txt'\. Supported are \.csv"):
        read_label_file(tmp_path / "a.txt")
