import numpy as np
import pytest

from lightly_marlin.evaluation.labels.reading import read_labels
from lightly_marlin.utils.errors import UsageError

NAN = float("nan")


@pytest.fixture
def read(tmp_path):
    """Reads labels from columns written as "1 0 -": a cell each, "-" for empty."""

    def read(*columns, kind=None):
        cells = [column.split() for column in columns]
        lines = [",".join(["video", *(f"c{i}" for i in range(len(columns)))])]
        for index, row in enumerate(zip(*cells, strict=True)):
            lines.append(",".join([f"v{index}", *row]).replace("-,", ","))
        lines = [line.removesuffix("-") for line in lines]
        (tmp_path / "labels.csv").write_text("\n".join(lines))
        return read_labels(tmp_path / "labels.csv", kind=kind)

    return read


@pytest.mark.parametrize(
    ("cells", "kind", "labels", "names"),
    [
        ("0 1 1 -", "binary", [0, 1, 1, NAN], "c0"),
        ("0.0 1.0 1 -", "binary", [0, 1, 1, NAN], "c0"),
        ("true False TRUE", "binary", [1, 0, 1], "c0"),
        ("yes no No", "binary", [1, 0, 0], "c0"),
        ("happy sad none happy", "multiclass", [0, 2, 1, 0], "happy none sad"),
        ("1 2 7 2", "multiclass", [0, 1, 2, 1], "1 2 7"),
        # Sorted as text, and without what pandas adds beside an empty cell.
        ("2.0 10.0 - 2.0", "multiclass", [1, 0, NAN, 1], "10 2"),
        ("-1 0 1 1", "multiclass", [0, 1, 2, 2], "-1 0 1"),
        ("0.5 1 2 -1e3", "regression", [0.5, 1, 2, -1000], "c0"),
        ("18 35 90 35", "regression", [18, 35, 90, 35], "c0"),
        ("-3 0 3 0", "regression", [-3, 0, 3, 0], "c0"),
        ("1 2 x y z", "multiclass", None, None),
    ],
)
def test_column_kind__told_from_the_cells(read, cells, kind, labels, names):
    if labels is None:
        with pytest.raises(UsageError, match="every label in column 'c0' occurs once"):
            read(cells)
        return
    table = read(cells)
    assert table.target.kind == kind
    assert table.target.names == tuple(names.split())
    np.testing.assert_allclose(table.labels[:, 0], labels)


def test_parse_labels__several_columns(read):
    table = read("0 1 1", "1 - 0")
    assert (table.target.kind, table.target.names) == ("multilabel", ("c0", "c1"))
    np.testing.assert_array_equal(table.labels, [[0, 1], [1, NAN], [1, 0]])
    table = read("0.5 1 2", "25 70 -")
    assert (table.target.kind, table.target.names) == ("regression", ("c0", "c1"))
    np.testing.assert_array_equal(table.labels, [[0.5, 25], [1, 70], [2, NAN]])


def test_parse_labels__a_label_of_several_may_be_absent(read):
    assert read("0 1 1", "0 0 0").target.kind == "multilabel"


def test_parse_labels__the_kind_can_be_said(read):
    assert read("1 2 3 2", kind="regression").labels[:, 0].tolist() == [1, 2, 3, 2]
    assert read("101 202 101", kind="multiclass").target.names == ("101", "202")
    assert read("0 1 1", kind="multiclass").target.names == ("0", "1")
    assert read("0 1 1", kind="multilabel").target.kind == "multilabel"
    table = read("0 1 1", "0.5 0.25 3", kind="regression")
    assert table.target.kind == "regression"
    # Identities that are longer than the digits of a float stay apart.
    long = "12345678901234567 12345678901234568 12345678901234568"
    assert len(read(long, kind="multiclass").target.names) == 2


def test_parse_labels__whole_numbers_are_noted(read):
    assert read("1 2 3 2").notes == (
        "Column 'c0' holds whole numbers from 1 to 3: read as 3 classes; pass --kind "
        "regression if it is a quantity.",
    )
    assert read("18 35 90 35").notes == (
        "Column 'c0' holds whole numbers from 18 to 90: read as a quantity; pass "
        "--kind multiclass if they are codes of classes.",
    )
    for cells in ("0 1 1", "0.5 1 2", "a b b"):
        assert read(cells).notes == ()
    assert read("1 2 3 2", kind="multiclass").notes == ()


ROW = "row 4, column 'c0': "
ERRORS = [
    (["1.5 2.5 x 3"], None, f"{ROW}'x' is not a number, but most labels"),
    (["0 1 maybe 1"], None, f"{ROW}'maybe' is not a number, but most"),
    (["0.5 1 inf 2"], None, f"{ROW}'inf' is not a finite number"),
    (["0.5 1 1e39 2"], None, f"{ROW}'1e39' is not a finite number"),
    (["0.5 1 1_0 2"], None, f"{ROW}'1_0' is not a number"),
    (["0 1 2 1"], "binary", f"{ROW}'2' is neither 0 nor 1"),
    (["0 1 2 1", "0 1 1 1"], "multilabel", f"{ROW}'2' is neither 0 nor 1"),
    (["0 1 true 1"], "regression", f"{ROW}'true' is not a number"),
    (["a b b", "0 1 1"], None, "different kinds: 'c0' is multiclass, 'c1' is binary"),
    (
        ["0 1 1", "0 1 2.5"],
        None,
        "'c1' is regression. Choose .* with --column, or pass",
    ),
    (["a b b", "c d d"], None, "A multiclass target has one column .* 2: 'c0', 'c1'"),
    (["0 1 1", "0 1 1"], "binary", "Choose one with --column"),
    (["0 0 - 0.0"], None, "the only label in column 'c0' is '0'.* another label"),
    (["a a"], None, "the only label in column 'c0' is 'a'"),
    (["3 3.0"], None, "the only label in column 'c0' is '3'"),
    (["2.5 2.5"], None, "the only label in column 'c0' is '2.5'"),
    (["a b c"], None, "every label in column 'c0' occurs once, so"),
    (["a b b"], "rank", r"Invalid kind \('rank'\). Supported values are binary, "),
]


@pytest.mark.parametrize(("columns", "kind", "message"), ERRORS)
def test_parse_labels__errors(read, columns, kind, message):
    with pytest.raises(UsageError, match=message) as caught:
        read(*columns, kind=kind)
    assert "\n" not in str(caught.value)


def test_parse_labels__many_columns_are_listed_in_part(read):
    with pytest.raises(UsageError, match="7: 'c0', 'c1', 'c2', 'c3', 'c4' and 2 more"):
        read(*["a b b"] * 7)
