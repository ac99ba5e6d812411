"""CelebV-HQ: names from the file, groups by video, segments, all faults in one go."""

import json
import re

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation.tasks import load_task
from lightly_marlin.evaluation.tasks.celebv_hq import EMOTIONS
from lightly_marlin.utils.errors import UsageError


def test_appearance__has_the_labels_of_the_file(celebv_values, write_celebv):
    table = load_task("celebv_hq_appearance", write_celebv(celebv_values))
    assert table.target.kind == "multilabel"
    assert table.target.names == ("Blurry", "Male", "Young")
    assert len(table) == 12
    assert table.splits is None
    assert not table.has_stretches
    clips = celebv_values["clips"]
    for row, item in enumerate(table.items):
        assert table.videos[row] == f"{item}.mp4"
        assert table.groups[row] == clips[item]["ytb_id"]
        assert table.labels[row].tolist() == clips[item]["attributes"]["appearance"]


def test_action__has_other_names_and_labels(celebv_values, write_celebv):
    table = load_task("celebv_hq_action", write_celebv(celebv_values))
    assert table.target.names == ("blow", "chew", "close_eyes", "cough")
    assert table.labels.sum(dim=0).tolist() == [3, 3, 3, 3]
    assert table.name == "celebv_hq_action"


def test_appearance__keeps_the_clip_whose_video_is_missing(celebv_values, write_celebv):
    root = write_celebv(celebv_values)
    table = load_task("celebv_hq_appearance", root)
    assert sum((root / video).exists() for video in table.videos) == 11


def test_annotation__may_lie_elsewhere(celebv_values, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(json.dumps(celebv_values))
    table = load_task("celebv_hq_action", tmp_path, annotation=str(path))
    assert len(table) == 12
    with pytest.raises(UsageError, match=r"celebvhq_info\.json .* cannot be read.*opt"):
        load_task("celebv_hq_action", tmp_path)


def test_emotion__segments_are_items_with_seconds(celebv_values, write_celebv):
    table = load_task("celebv_hq_emotion", write_celebv(celebv_values))
    assert table.target.kind == "multiclass"
    assert table.target.names == EMOTIONS
    assert len(table) == 13
    rows = [i for i, video in enumerate(table.videos) if video == "-video5_0.mp4"]
    assert [table.items[i] for i in rows] == ["-video5_0[0]", "-video5_0[1]"]
    assert table.starts[rows].tolist() == [0, 1.28]
    assert table.ends[rows].tolist() == [0.28, 3.28]
    assert [EMOTIONS[int(table.labels[i])] for i in rows] == ["neutral", "surprise"]
    assert {table.groups[i] for i in rows} == {"-video5"}
    whole = np.delete(np.arange(13), rows)
    assert np.isnan(table.starts[whole]).all()
    assert np.isnan(table.ends[whole]).all()


def test_emotion__segments_can_be_left_out(celebv_values, write_celebv):
    root = write_celebv(celebv_values)
    table = load_task("celebv_hq_emotion", root, segments=False)
    assert len(table) == 11
    assert not table.has_stretches
    assert table.notes == ("Segments with an emotion of their own, left out: 2.",)


def test_splits__of_the_reference(celebv_values, write_celebv, tmp_path):
    """Names of clips, as the reference writes them; a clip stands for its segments."""
    root = write_celebv(celebv_values)
    clips = list(celebv_values["clips"])
    lists = {"train": clips[:8], "val": clips[8:10], "test": clips[10:]}
    for split, names in lists.items():
        (tmp_path / f"{split}.txt").write_text("\n".join(names) + "\n")
    table = load_task("celebv_hq_appearance", root, splits=str(tmp_path))
    for split, names in lists.items():
        assert {table.items[index] for index in table.in_split(split)} == set(names)
    emotion = load_task("celebv_hq_emotion", root, splits=str(tmp_path))
    assert {emotion.items[index] for index in emotion.in_split("test")} == {
        "-video5_0[0]",
        "-video5_0[1]",
        "-video5_1",
    }


def damage_all(values):
    clips = values["clips"]
    del values["meta_info"]["action_mapping"]
    del clips["-video0_0"]["ytb_id"]
    clips["-video0_1"]["attributes"]["appearance"] = [0, 1]
    clips["-video1_0"]["attributes"]["appearance"][1] = 2
    del clips["-video1_1"]["attributes"]["appearance"]
    clips["-video2_0"] = "text"
    emotion = {"sep_flag": 0, "labels": "bored"}
    clips["-video2_1"]["attributes"]["emotion"] = emotion
    segments = clips["-video5_0"]["attributes"]["emotion"]["labels"]
    del segments[0]["end_sec"]
    segments[1]["end_sec"] = 1.0
    segments += [{"emotion": "happy", "start_sec": "0", "end_sec": 1}]
    segments += [{"emotion": "rage", "start_sec": 0, "end_sec": 1}]
    return values


@pytest.mark.parametrize(
    ("task", "texts"),
    [
        (
            "appearance",
            [
                "has 5 problems",
                "clip -video0_0 lacks ytb_id",
                "clip -video0_1 has 2 values of appearance, not the 3 of meta_info",
                "clip -video1_0 has the value 2 of appearance, not 0 or 1",
                "clip -video1_1 lacks attributes.appearance",
                "clip -video2_0 is not an object",
            ],
        ),
        ("action", ["has 3 problems", "meta_info.action_mapping is missing"]),
        (
            "emotion",
            [
                "has 7 problems",
                "clip -video2_1 has the unknown emotion 'bored'",
                "segment 0 of clip -video5_0 lacks end_sec",
                "segment 1 of clip -video5_0 goes from 1.28 to 1.0 s",
                "segment 2 of clip -video5_0 has the time '0', not seconds",
                "segment 3 of clip -video5_0 has the unknown emotion 'rage'",
            ],
        ),
    ],
)
def test_annotation__reports_all_that_is_wrong(
    celebv_values, write_celebv, task, texts
):
    root = write_celebv(damage_all(celebv_values))
    with pytest.raises(UsageError) as raised:
        load_task(f"celebv_hq_{task}", root)
    for text in texts:
        assert text in str(raised.value)


def test_annotation__shows_ten_faults_and_counts_the_others(
    celebv_values, write_celebv
):
    for clip in celebv_values["clips"].values():
        clip["attributes"]["appearance"] = []
    with pytest.raises(
        UsageError, match=r"has 12 problems: .*; and 2 more\.$"
    ) as raised:
        load_task("celebv_hq_appearance", write_celebv(celebv_values))
    assert len(re.findall("has 0 values", str(raised.value))) == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1]", "holds a list"), ("{", "is not JSON"), ("{}", "key clips is missing")],
)
def test_annotation__of_another_form(tmp_path, text, message):
    (tmp_path / "celebvhq_info.json").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_task("celebv_hq_emotion", tmp_path)


def test_labels__are_numbers_of_the_right_type(celebv_values, write_celebv):
    table = load_task("celebv_hq_emotion", write_celebv(celebv_values))
    assert table.labels.dtype == torch.float32
    assert table.labels.shape == (13, 1)
