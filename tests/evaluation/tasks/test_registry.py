"""Registry of tasks: names, options, entries of one's own."""

import pytest

from lightly_marlin.evaluation import LabelTable, Target
from lightly_marlin.evaluation.tasks import (
    Task,
    get_task,
    list_tasks,
    load_task,
    register_task,
    unregister_task,
)
from lightly_marlin.utils.errors import UsageError

NAMES = [
    "celebv_hq_appearance",
    "celebv_hq_action",
    "celebv_hq_emotion",
    "cmu_mosei_sentiment",
    "cmu_mosei_emotion",
    "faceforensics",
]


def blinks(root, *, part: str = "all", count: int = 2, quick: bool = False):
    """A task of one's own."""
    return LabelTable.make(
        Target("binary", ("blink",)),
        [f"{part}{index}.mp4" for index in range(count)],
        [[float(quick)]] * count,
    )


def not_a_table(root):
    return root


ENTRY = Task("blinks", blinks, primary=("auc",))


@pytest.fixture
def registered():
    register_task(ENTRY)
    yield ENTRY
    unregister_task("blinks")


def test_list_tasks__names_them_all():
    assert list_tasks() == NAMES


def test_list_tasks__names_registered_ones_last(registered):
    assert list_tasks() == [*NAMES, "blinks"]


def test_load_task__takes_a_registered_one(registered, tmp_path):
    table = load_task("blinks", tmp_path, part="x", count=3, quick=True)
    assert table.videos == ("x0.mp4", "x1.mp4", "x2.mp4")
    assert table.labels.tolist() == [[1], [1], [1]]


@pytest.mark.parametrize("attribute", ["blinks", "ENTRY"])
def test_load_task__takes_an_entry(attribute, tmp_path, monkeypatch):
    (tmp_path / "my_tasks.py").write_text(f"from {__name__} import blinks, ENTRY\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert len(load_task(f"my_tasks:{attribute}", tmp_path)) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "celebv",
            "Invalid task .'celebv'.. Supported values are celebv_hq_appearance",
        ),
        ("no_such_module:x", "No module named 'no_such_module'"),
        ("math:no_such_name", "has no attribute 'no_such_name'"),
        ("math:pi", "it is a float, not a Task"),
    ],
)
def test_get_task__unknown(name, message):
    with pytest.raises(UsageError, match=message):
        get_task(name)


def test_load_task__refuses_what_is_no_table(tmp_path):
    task = Task("wrong", not_a_table)
    register_task(task)
    try:
        with pytest.raises(UsageError, match=r"returned a .*Path, not a LabelTable"):
            load_task("wrong", tmp_path)
    finally:
        unregister_task("wrong")


def test_load_task__names_the_options_it_takes(tmp_path):
    message = (
        "Invalid option 'method' of the task faceforensics. Supported are methods,"
    )
    with pytest.raises(UsageError, match=message):
        load_task("faceforensics", tmp_path, method="x")


def test_load_task__needs_the_folder(tmp_path):
    with pytest.raises(
        UsageError, match=r"The folder .*nowhere of the task .* missing"
    ):
        load_task("faceforensics", tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["faceforensics", "With Space"])
def test_register_task__refuses_names(name):
    with pytest.raises(ValueError, match="Invalid name of a task"):
        register_task(Task(name, blinks))


def test_unregister_task__unknown():
    with pytest.raises(ValueError, match=r"'blinks'.: not registered"):
        unregister_task("blinks")


def test_parse_options__follows_the_defaults():
    texts = ["part=a=b", "count=7", "quick=True"]
    expected = {"part": "a=b", "count": 7, "quick": True}
    assert ENTRY.parse_options(texts) == expected
    ff = get_task("faceforensics")
    assert ff.parse_options(["methods=Face2Face,FaceSwap"]) == {
        "methods": ("Face2Face", "FaceSwap")
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count", "write name=value"),
        ("count=two", "'two' of the option count: must be a number"),
        ("quick=yes", "Supported values are true, false"),
        ("colour=red", "Supported are part, count, quick"),
    ],
)
def test_parse_options__refuses(text, message):
    with pytest.raises(UsageError, match=message):
        ENTRY.parse_options([text])


@pytest.mark.parametrize("name", NAMES)
def test_tasks__say_what_they_are(name):
    task = get_task(name)
    assert task.primary
    assert (task.crops == "videos") == (name == "faceforensics")
    for published in task.published:
        assert published.note
        assert all(0 < value < 1 for value in published.metrics.values())
