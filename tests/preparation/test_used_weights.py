"""Licences of the weights behind a store, recorded and held against the use."""

import json

import numpy as np
import pytest

from lightly_marlin.faces import (
    DlibDetector,
    LandmarkPredictor,
    ModelWeights,
    register_detector,
    unregister_detector,
)
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.preparation.prepare_video import PreparationOptions
from lightly_marlin.preparation.used_weights import used_weights
from lightly_marlin.utils.errors import UsageError


class Points(LandmarkPredictor):
    weights = (ModelWeights("points.onnx", "MIT", commercial=True),)

    def __call__(self, image, boxes):
        return np.zeros((len(boxes), 68, 2), np.float32)


class Free(DlibDetector):
    """A detector with landmarks of its own."""

    landmarks = Points()
    fingerprint = "first"


class Unstated(Free):
    weights = ()


class Parser:
    def __call__(self, frames, boxes):
        return frames[..., 0] * 0


@pytest.fixture
def free():
    register_detector("free", Free)
    yield "free"
    unregister_detector("free")


def report(store):
    return json.loads((store / "report.json").read_text())


def test_a_report_names_every_weight_file(videos, tmp_path, fake_faces):
    prepare_videos(videos, tmp_path / "s", num_workers=0, parser=Parser())
    found = report(tmp_path / "s")["weights"]
    assert [(one["role"], one["commercial"]) for one in found] == [
        ("detector", True),
        ("detector", True),
        ("landmarks", False),
        ("embedding", True),
        ("parser", None),
    ]
    assert found[1]["name"] == "mmod_human_face_detector.dat"
    assert "iBUG 300-W" in found[2]["licence"]
    assert (found[4]["name"], found[4]["licence"]) == ("Parser", "not stated")


def test_a_report_lists_the_weights_of_all_runs_once(
    videos, tmp_path, fake_faces, free
):
    store = tmp_path / "s"
    prepare_videos(videos / "a.mp4", store, num_workers=0, detector="hog")
    prepare_videos(videos / "deep" / "a.mp4", tmp_path / "t", num_workers=0)
    prepare_videos(videos, store, num_workers=0, detector=free)
    names = [one["name"] for one in report(store)["weights"]]
    assert names == [
        "dlib frontal face detector",
        "points.onnx",
        "dlib_face_recognition_resnet_model_v1.dat",
    ]


def test_commercial_use__says_what_is_missing(videos, tmp_path):
    with pytest.raises(UsageError, match=r"No landmark .* --detector") as caught:
        prepare_videos(videos, tmp_path / "s", commercial=True)
    assert "shape_predictor_68_face_landmarks.dat" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "s").exists()


def test_commercial_use__with_other_landmarks(videos, tmp_path, fake_faces, free):
    run = {"num_workers": 0, "detector": free, "commercial": True}
    summary = prepare_videos(videos, tmp_path / "s", **run)
    assert summary.num_tracks == 2
    assert all(one["commercial"] for one in report(tmp_path / "s")["weights"])
    with pytest.raises(UsageError, match="by the parser weights Parser"):
        prepare_videos(videos, tmp_path / "s", parser=Parser(), **run)


def test_commercial_use__a_licence_must_be_stated(videos, tmp_path):
    register_detector("unstated", Unstated)
    try:
        options = {"detector": "unstated", "commercial": True}
        with pytest.raises(UsageError, match=r"weights unstated \(licence: not stated"):
            prepare_videos(videos, tmp_path / "s", **options)
    finally:
        unregister_detector("unstated")


def test_a_detector_that_changes_has_videos_done_again(
    videos, tmp_path, fake_faces, free, monkeypatch
):
    def run():
        summary = prepare_videos(videos, tmp_path / "s", num_workers=0, detector=free)
        return summary.num_finished_before

    assert (run(), run()) == (0, 6)
    monkeypatch.setattr(Free, "fingerprint", "second")
    assert run() == 0


def test_worker_processes_know_a_registered_detector(free, tmp_path, videos):
    (weights, *_) = used_weights(PreparationOptions(detector=free))
    assert weights["name"] == "dlib frontal face detector"
    summary = prepare_videos(
        videos / "a.mp4", tmp_path / "s", num_workers=1, detector=free
    )
    (record,) = summary.records
    # Nothing is found in gradients, but the worker could load its detector.
    assert (record.status, record.retry) == ("no_face", False)


def test_a_factory_that_no_worker_can_get_is_named(videos, tmp_path):
    register_detector("local", lambda: Free())
    try:
        with pytest.raises(ValueError, match=r"Invalid detector \('local'\).*num_work"):
            prepare_videos(videos, tmp_path / "s", num_workers=1, detector="local")
    finally:
        unregister_detector("local")
