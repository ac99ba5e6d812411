"""Tables of labelled items refuse what cannot be learned, and name the item."""

import math

import pytest
import torch

from lightly_marlin.evaluation import LabelTable, Target
from lightly_marlin.utils.errors import UsageError

BINARY = Target("binary", ("smile",))


def test_make__sorts_all_columns_by_item():
    table = LabelTable.make(
        BINARY,
        ["b.mp4", "a.mp4"],
        [[1], [0]],
        starts=[1, math.nan],
        ends=[2, math.nan],
        groups=["x", "y"],
        splits=["test", "train"],
    )
    assert table.items == ("a.mp4", "b.mp4[1:2]")
    assert table.labels.tolist() == [[0], [1]]
    assert table.ends[1] == 2
    assert math.isnan(table.ends[0])
    assert (table.groups, table.splits) == (("y", "x"), ("train", "test"))


@pytest.mark.parametrize(
    ("kind", "label", "allowed"),
    [
        ("binary", 2, "whole numbers from 0 to 1"),
        ("binary", -1, "whole numbers from 0 to 1"),
        ("multilabel", 0.5, "whole numbers from 0 to 1"),
        ("multiclass", 3, "whole numbers from 0 to 2"),
        ("multiclass", 1.5, "whole numbers from 0 to 2"),
        ("regression", math.inf, "finite numbers"),
    ],
)
def test_make__label_that_is_none_of_the_target(kind, label, allowed):
    target = Target(kind, ("a",) if kind == "binary" else ("a", "b", "c"))
    rows = [[0.0] * target.num_columns for _ in range(3)]
    rows[1][-1] = label
    with pytest.raises(UsageError, match=rf"'v1' of labels has .*{label:g}.*{allowed}"):
        LabelTable.make(target, ["v0", "v1", "v2"], rows)


def test_make__empty_labels_and_any_finite_value_are_fine():
    target = Target("regression", ("a", "b"))
    labels = torch.tensor([[-3.5, torch.nan], [torch.nan, torch.nan]])
    table = LabelTable.make(target, ["a", "b"], labels)
    torch.testing.assert_close(table.labels, labels, equal_nan=True)


@pytest.mark.parametrize("labels", [[[0, 1]], [[0], [1]], [[0, 1]] * 3])
def test_make__labels_of_another_shape(labels):
    with pytest.raises(UsageError, match=r"labels of labels have shape .* \(2, 2\)"):
        LabelTable.make(Target("multilabel", ("a", "b")), ["v", "w"], labels)


@pytest.mark.parametrize("name", ["items", "starts", "ends", "groups", "splits"])
@pytest.mark.parametrize("count", [1, 3])
def test_make__arguments_of_another_length(name, count):
    values = [0.0] * count if name in ("starts", "ends") else ["test"] * count
    with pytest.raises(ValueError, match=rf"{name}.*\({count}\).*videos, 2"):
        LabelTable.make(BINARY, ["v", "w"], [[0], [1]], **{name: values})


@pytest.mark.parametrize(("start", "end"), [(2, 2), (3, 2), (math.nan, 0)])
def test_make__stretch_without_length(start, end):
    with pytest.raises(UsageError, match=f"ends at {end} s, which is not after"):
        LabelTable.make(BINARY, ["v"], [[0]], starts=[start], ends=[end])
