"""Miniatures of published data sets: their files, without a single picture."""

import copy
import csv
import json

import numpy as np
import pytest

APPEARANCE = ["Blurry", "Male", "Young"]
ACTION = ["blow", "chew", "close_eyes", "cough"]

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")


def _celebv_clip(index):
    return {
        "ytb_id": f"-video{index // 2}",
        "duration": {"start_sec": 2.5 * index, "end_sec": 2.5 * index + 4},
        "bbox": {"top": 0.0, "bottom": 0.8815, "left": 0.1964, "right": 0.6922},
        "attributes": {
            "appearance": [index % 2, int(index % 3 == 0), int(index > 5)],
            "action": [int(index % 4 == k) for k in range(4)],
            "emotion": {"sep_flag": False, "labels": ["happy", "neutral"][index % 2]},
        },
        "version": "v0.1",
    }


def _celebv_values():
    """12 clips of 6 videos with all fields; the last but one has two emotions."""
    clips = {f"-video{i // 2}_{i % 2}": _celebv_clip(i) for i in range(12)}
    clips["-video5_0"]["attributes"]["emotion"] = {
        "sep_flag": True,
        "labels": [
            {"emotion": "neutral", "start_sec": 0, "end_sec": 0.28},
            {"emotion": "surprise", "start_sec": 1.28, "end_sec": 3.28},
        ],
    }
    meta = {"appearance_mapping": APPEARANCE, "action_mapping": ACTION}
    return {"meta_info": meta, "clips": clips}


@pytest.fixture
def celebv_values():
    """Annotation of CelebV-HQ, for a test to damage."""
    return _celebv_values()


@pytest.fixture
def write_celebv(tmp_path):
    """Writes an annotation and all but one of its videos; returns the folder."""

    def write(values):
        root = tmp_path / "celebv"
        root.mkdir(exist_ok=True)
        (root / "celebvhq_info.json").write_text(json.dumps(values))
        for name in list(values.get("clips", ()))[1:]:
            (root / f"{name}.mp4").touch()
        return root

    return write


MOSEI = {
    # Video: rows of sentiment, happy … fear, and intervals.
    "abc": (
        [[-1.0, 0, 0.5, 0, 0, 0, 0], [0.0, 0, 0, 0, 0, 0, 0]],
        [[-0.4, 2.0], [2.0, 6.5]],
    ),
    "-d_e": ([[2.3333333, 4.33, 0, 0, 1, 0, 0]], [[1.0, 3.0]]),
    "12345": ([[np.nan, 0, 0, 1, 0, 0, 0]], [[0.0, 3.0]]),
    "stray": ([[3.0, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0]], [[0, 3], [3, 4]]),
}


@pytest.fixture
def mosei():
    """Values and intervals of MOSEI's miniature, for a test to damage."""
    return copy.deepcopy(MOSEI)


@pytest.fixture
def write_csd(tmp_path):
    """Writes labels in the form of the SDK, and its folds; returns the folder."""
    h5py = pytest.importorskip("h5py")

    def write(videos, root_key="All Labels", folds=True):
        root = tmp_path / "mosei"
        root.mkdir(exist_ok=True)
        with h5py.File(root / "CMU_MOSEI_Labels.csd", "w") as file:
            data = file.create_group(root_key).create_group("data")
            for video, (features, intervals) in videos.items():
                group = data.create_group(video)
                group["features"] = np.array(features, np.float32)
                group["intervals"] = np.array(intervals, np.float64)
        if folds:
            (root / "cmu_mosei_std_folds.py").write_text(
                "standard_train_fold=['abc']\n\nstandard_test_fold=['-d_e', 'gone']\n"
                "\nstandard_valid_fold=['12345']\nraise SystemExit('was run')\n"
            )
        return root

    return write


@pytest.fixture
def write_csv(tmp_path):
    """Writes rows, of which the first is the header, as CSV; returns the folder."""

    def write(rows, name="labels.csv"):
        root = tmp_path / "csv"
        root.mkdir(exist_ok=True)
        with (root / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return root

    return write


@pytest.fixture
def ff_tree(tmp_path):
    """FaceForensics++ with 4 pairs (2 train, 1 val, 1 test) as empty files, c40."""
    root = tmp_path / "ff"
    pairs = [["000", "003"], ["002", "001"], ["004", "005"], ["007", "006"]]
    for split, chosen in (
        ("train", pairs[:2]),
        ("val", [pairs[2]]),
        ("test", [pairs[3]]),
    ):
        path = root / "splits" / f"{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(chosen))
    folder = root / "original_sequences/youtube/c40/videos"
    folder.mkdir(parents=True)
    for index in range(8):
        (folder / f"{index:03}.mp4").touch()
    for method in METHODS:
        folder = root / f"manipulated_sequences/{method}/c40/videos"
        folder.mkdir(parents=True)
        for a, b in pairs:
            (folder / f"{a}_{b}.mp4").touch()
            (folder / f"{b}_{a}.mp4").touch()
    return root
