"""CMU-MOSEI: values, folds, the traps of its files, and the rules for classes."""

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation.tasks import load_task
from lightly_marlin.evaluation.tasks.mosei_files import COLUMNS, read_folds
from lightly_marlin.utils.errors import UsageError

HEADER = ["video", "start", "end", *COLUMNS]
S3PRL = ["", "file", "index", "start", "end", "label2a", "label2b", "label6", "label7"]


def by_item(table):
    return {
        item: table.labels[index].tolist() for index, item in enumerate(table.items)
    }


def test_sentiment__has_values_of_the_folds(mosei, write_csd):
    table = load_task("cmu_mosei_sentiment", write_csd(mosei))
    assert table.target.kind == "regression"
    assert table.target.names == ("sentiment",)
    assert table.metrics == ("mosei_sentiment",)
    assert table.items == ("-d_e[0]", "12345[0]", "abc[0]", "abc[1]")
    assert table.videos == ("-d_e.mp4", "12345.mp4", "abc.mp4", "abc.mp4")
    assert table.groups == ("-d_e", "12345", "abc", "abc")
    assert table.splits == ("test", "val", "train", "train")
    expected = torch.tensor([[2.3333333], [torch.nan], [-1], [0]])
    torch.testing.assert_close(table.labels, expected, equal_nan=True)


def test_sentiment__negative_starts_and_stray_segments_are_noted(mosei, write_csd):
    table = load_task("cmu_mosei_sentiment", write_csd(mosei))
    assert table.starts.tolist() == [1, 0, 0, 2]
    assert table.ends.tolist() == [3, 3, 2, 6.5]
    assert table.notes == (
        "Segments that start below 0 s, cut to 0 s: 1.",
        "Segments in no fold, left out: 2 of 1 videos.",
    )


def test_sentiment__values_beyond_three_are_cut(mosei, write_csd):
    mosei["abc"][0][0][0] = 3.3333
    mosei["abc"][0][1][0] = -9
    table = load_task("cmu_mosei_sentiment", write_csd(mosei))
    assert by_item(table)["abc[0]"] == [3]
    assert by_item(table)["abc[1]"] == [-3]
    assert "Values outside [-3, 3], cut to it: 2." in table.notes


def test_emotion__is_present_above_zero(mosei, write_csd):
    table = load_task("cmu_mosei_emotion", write_csd(mosei))
    assert table.target.kind == "multilabel"
    assert table.target.names == COLUMNS[1:]
    assert table.metrics == ("mosei_emotion",)
    assert by_item(table) == {
        "-d_e[0]": [1, 0, 0, 1, 0, 0],
        "12345[0]": [0, 0, 1, 0, 0, 0],
        "abc[0]": [0, 1, 0, 0, 0, 0],
        "abc[1]": [0, 0, 0, 0, 0, 0],
    }
    assert "Values outside [0, 3], cut to it: 1." in table.notes


def test_sentiment__seven_classes_are_bins(mosei, write_csd):
    root = write_csd(mosei)
    table = load_task("cmu_mosei_sentiment", root, preset="classification")
    assert table.target.kind == "multiclass"
    assert table.target.names == ("-3", "-2", "-1", "0", "1", "2", "3")
    # 2.33 is above 2, hence of the last class; rounding would say 2.
    expected = torch.tensor([[6], [torch.nan], [2], [3]])
    torch.testing.assert_close(table.labels, expected, equal_nan=True)
    assert table.metrics == ()


def test_sentiment__two_classes_have_zero_among_the_nonnegative(mosei, write_csd):
    options = {"preset": "classification", "classes": 2}
    table = load_task("cmu_mosei_sentiment", write_csd(mosei), **options)
    assert table.target.kind == "binary"
    assert table.target.names == ("nonnegative",)
    expected = torch.tensor([[1], [torch.nan], [0], [1]])
    torch.testing.assert_close(table.labels, expected, equal_nan=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "both"}, "Invalid preset 'both'.*regression, classification"),
        ({"preset": "classification", "classes": 5}, "Invalid classes 5.*2, 7"),
        ({"labels": "no.csd"}, r"no labels no\.csd of CMU-MOSEI"),
        ({"folds": "no.json"}, r"folds no\.json cannot be read"),
    ],
)
def test_sentiment__invalid_options(mosei, write_csd, options, message):
    with pytest.raises(UsageError, match=message):
        load_task("cmu_mosei_sentiment", write_csd(mosei), **options)


def test_csd__needs_folds(mosei, write_csd):
    root = write_csd(mosei, folds=False)
    with pytest.raises(
        UsageError, match=r"cmu_mosei_std_folds\.py of CMU-MultimodalSDK"
    ):
        load_task("cmu_mosei_sentiment", root)


def test_csd__of_another_version_names_the_key(mosei, write_csd):
    root = write_csd(mosei, root_key="Emotion Labels")
    with pytest.raises(
        UsageError, match="lacks the key 'All Labels' and has 'Emotion L"
    ):
        load_task("cmu_mosei_emotion", root)


def test_csd__reports_all_that_is_wrong(mosei, write_csd):
    mosei["abc"] = ([[1.0]], [[0, 1]])
    mosei["-d_e"] = ([[0] * 7], [[0, 1], [1, 2]])
    mosei["12345"] = ([[0] * 7], [[0, 1, 2]])
    with pytest.raises(UsageError) as raised:
        load_task("cmu_mosei_emotion", write_csd(mosei))
    for text in (
        "has 3 problems",
        "features of video abc has shape (1, 1), not (n, 7)",
        "video -d_e has 1 features and 2 intervals",
        "intervals of video 12345 has shape (1, 3), not (n, 2)",
    ):
        assert text in str(raised.value)


def test_csd__a_segment_that_ends_before_the_video(mosei, write_csd):
    mosei["abc"][1][0] = [-0.4, -0.1]
    with pytest.raises(
        UsageError, match=r"segment 0 of video abc goes from -0.4 to -0.1"
    ):
        load_task("cmu_mosei_emotion", write_csd(mosei))


def test_csd__that_is_none(tmp_path):
    pytest.importorskip("h5py")
    (tmp_path / "CMU_MOSEI_Labels.csd").write_text("<html>404</html>")
    with pytest.raises(UsageError, match="cannot be read as HDF5"):
        load_task("cmu_mosei_emotion", tmp_path)


def test_csv__of_our_own_columns(write_csv):
    rows = [
        [*HEADER, "split"],
        ["a", 0, 2, -2, 0, 0, 1, 0, 0, 0, "train"],
        ["a", 2, 4, "", 1, 0, 0, 0, 0, 0, "train"],
        ["b", 0, 2, 1.5, 0, 0, 0, 0, 0, 3, "test"],
        ["c", 0, 2, 1.5, 0, 0, 0, 0, 0, 3, ""],
    ]
    root = write_csv(rows)
    table = load_task("cmu_mosei_sentiment", root)
    assert table.items == ("a[0]", "a[1]", "b[0]")
    assert table.splits == ("train", "train", "test")
    assert np.isnan(by_item(table)["a[1]"])
    assert load_task("cmu_mosei_emotion", root).labels[2].tolist() == [0, 0, 0, 0, 0, 1]


def test_csv__without_split_leaves_it_open(write_csv):
    root = write_csv([HEADER, ["a", 0, 2, -2, 0, 0, 1, 0, 0, 0]])
    assert load_task("cmu_mosei_sentiment", root).splits is None
    (root / "cmu_mosei_std_folds.py").write_text(
        "standard_train_fold=['x']\nstandard_valid_fold=['y']\n"
        "standard_test_fold=['a']\n"
    )
    assert load_task("cmu_mosei_sentiment", root).splits == ("test",)


def test_csv__names_rows_and_columns(write_csv):
    root = write_csv([HEADER[:-1], []])
    with pytest.raises(UsageError, match="lacks the column fear"):
        load_task("cmu_mosei_emotion", root)
    rows = [
        [*HEADER, "split"],
        ["a", "soon", 2, -2, 0, 0, 1, 0, 0, 0, "train"],
        ["a", 0, 2, -2, 0, 0, 1, 0, 0, 0, "tset"],
        ["a", 0],
    ]
    with pytest.raises(UsageError) as raised:
        load_task("cmu_mosei_emotion", write_csv(rows))
    for text in ("row 2: invalid start 'soon'", "row 3: invalid split 'tset'", "row 4"):
        assert text in str(raised.value)


def test_csv__rows_are_counted_as_an_editor_does(write_csv):
    rows = [HEADER, [], ["a", "soon", 2, -2, 0, 0, 1, 0, 0, 0]]
    with pytest.raises(UsageError, match="row 3: invalid start 'soon'"):
        load_task("cmu_mosei_emotion", write_csv(rows))


@pytest.mark.parametrize("content", [b"vid\xe9o,start\n", b"a" * 200_000])
def test_csv__that_is_none(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UsageError, match=r"labels\.csv cannot be read as CSV"):
        load_task("cmu_mosei_emotion", tmp_path)


def test_csv__two_of_them_have_to_be_told_apart(write_csv):
    write_csv([HEADER], "a.csv")
    with pytest.raises(UsageError, match=r"a\.csv, b\.csv.*option labels"):
        load_task("cmu_mosei_emotion", write_csv([HEADER], "b.csv"))


def s3prl_rows():
    rows = [
        [0, "-x", 0, -0.4, 3, 1, 1, 0, 1, 0],
        [1, "-x", 1, 3, 5, 0, -1, 1, -3, 0],
        [2, "y", 0, 0, 5, 1, 0, 0, 0, 2],
        [3, "z", 0, 0, 5, 1, 0, 0, 3, 3],
    ]
    return [[*S3PRL, "split"], *rows]


def test_s3prl__has_classes_of_sentiment(write_csv):
    root = write_csv(s3prl_rows())
    table = load_task("cmu_mosei_sentiment", root, preset="classification")
    assert by_item(table) == {"-x[0]": [4], "-x[1]": [0], "y[0]": [3]}
    assert table.splits == ("train", "train", "test")
    two = load_task("cmu_mosei_sentiment", root, preset="classification", classes=2)
    assert by_item(two) == {"-x[0]": [1], "-x[1]": [0], "y[0]": [1]}


@pytest.mark.parametrize("task", ["cmu_mosei_sentiment", "cmu_mosei_emotion"])
def test_s3prl__has_no_values(write_csv, task):
    message = "no values, but .* needs values: take the csd.*label6"
    with pytest.raises(UsageError, match=message):
        load_task(task, write_csv(s3prl_rows()))


def test_read_folds__of_json_and_of_text(tmp_path):
    expected = {"a": "train", "b": "train", "-c": "val", "d": "test"}
    path = tmp_path / "folds.json"
    path.write_text('{"train": ["a", "b"], "val": ["-c"], "test": ["d"]}')
    assert read_folds(path) == expected
    for name, text in (("train", "a\nb\n"), ("val", "-c\n"), ("test", "d\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    assert read_folds(tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("f.json", '{"train": ["a"], "val": ["a"], "test": ["d"]}', "'a' in train and"),
        ("f.json", '{"train": ["a"], "val": ["b"]}', "no list of videos for test"),
        ("f.json", "[", "cannot be read"),
        ("f.py", "standard_train_fold = open('x')", "malformed node"),
        ("f.py", "standard_train_fold = [", "cannot be read"),
        ("f.py", "folds = ['a']", "no list of videos for train"),
    ],
)
def test_read_folds__refuses(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        read_folds(tmp_path / name)
