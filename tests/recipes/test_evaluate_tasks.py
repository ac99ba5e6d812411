"""The commands of docs/tasks.md on miniatures of the data sets, over demo clips."""

import json

import pytest

from lightly_marlin.evaluation import Result
from lightly_marlin.utils.console import run_recipe

NAMES = [f"demo_{index:02d}" for index in range(6)]


@pytest.fixture(scope="module")
def evaluate(load_recipe):
    module = load_recipe("evaluate")

    def run(task, root, store, *more):
        arguments = ["--task", task, "--root", root, "--store", store, "--out", "out"]
        arguments += ["--model", "pixels", *more]
        return run_recipe(lambda: module.main([str(x) for x in arguments]))

    return run


def _clip(index):
    emotion = {"sep_flag": False, "labels": ("happy", "neutral")[index % 2]}
    attributes = {
        "appearance": [index % 2, int(index > 2)],
        "action": [int(index in (0, 3, 4))],
        "emotion": emotion,
    }
    return {
        "ytb_id": f"video{index}",
        "duration": {"start_sec": 0.0, "end_sec": 1.0},
        "bbox": {"top": 0.0, "bottom": 1.0, "left": 0.0, "right": 1.0},
        "attributes": attributes,
        "version": "v0.1",
    }


@pytest.fixture
def celebv_hq(tmp_path):
    root = tmp_path / "CelebV-HQ"
    root.mkdir()
    meta = {"appearance_mapping": ["blurry", "male"], "action_mapping": ["blow"]}
    clips = {name: _clip(index) for index, name in enumerate(NAMES)}
    clips["gone_0"] = _clip(1) | {"ytb_id": "gone"}
    values = {"meta_info": meta, "clips": clips}
    (root / "celebvhq_info.json").write_text(json.dumps(values))
    return root


@pytest.mark.parametrize(
    ("task", "kind"),
    [("appearance", "multilabel"), ("emotion", "multiclass")],
)
def test_celebv_hq(evaluate, celebv_hq, six_store, task, kind):
    assert evaluate(f"celebv_hq_{task}", celebv_hq, six_store) == 0
    result = Result.load("out")
    assert result.target.kind == kind
    assert (result.data["items"], result.data["missing"]) == (7, 1)
    assert len(result.predictions) == 6


@pytest.mark.usefixtures("quick_probes")
def test_celebv_hq__published_beside_the_released_protocol_alone(
    evaluate, celebv_hq, six_store, load_recipe, tmp_path, capsys
):
    # Validation needs both values among its labels.
    lists = {"train": (0, 2, 3), "val": (1,), "test": (4, 5)}
    for split, places in lists.items():
        names = [NAMES[place] for place in places]
        (tmp_path / f"{split}.txt").write_text("\n".join(names))
    task = ("celebv_hq_appearance", celebv_hq, six_store)
    splits = ("--task-option", f"splits={tmp_path}")
    assert evaluate(*task, *splits, "--protocol", "released") == 0
    compare = load_recipe("compare_results")
    assert compare.main(["out", "--out", "table"]) == 0
    assert "0.9390" in (tmp_path / "table" / "table.md").read_text()
    assert evaluate(*task, "--out", "exact") == 0
    assert compare.main(["exact", "--out", "other"]) == 0
    assert "published" not in (tmp_path / "other" / "table.md").read_text()


def test_cmu_mosei(evaluate, six_store, tmp_path, capsys):
    rows = ["video,start,end,sentiment,happy,sad,anger,surprise,disgust,fear,split"]
    sides = ("train", "train", "train", "val", "test", "test")
    for index, (name, side) in enumerate(zip(NAMES, sides, strict=True)):
        values = f"{index - 2.5},{index % 2},0,0,{index % 3},0,0"
        rows.append(f"{name},0.1,0.9,{values},{side}")
    root = tmp_path / "MOSEI"
    root.mkdir()
    (root / "labels.csv").write_text("\n".join(rows))
    options = ("--task-option", f"labels={root / 'labels.csv'}")
    assert evaluate("cmu_mosei_sentiment", root, six_store, *options) == 0
    metrics = Result.load("out").metrics
    assert {"mae", "pearson"} < metrics.keys()
    assert any(name.startswith("acc7") for name in metrics)
    assert "acc2" in capsys.readouterr().out


def test_options__unknown_one_names_what_there_is(
    evaluate, celebv_hq, six_store, capsys
):
    wrong = ("--task-option", "colour=red")
    assert evaluate("celebv_hq_action", celebv_hq, six_store, *wrong) == 2
    assert "annotation, splits" in capsys.readouterr().err
