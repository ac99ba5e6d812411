"""Crop options: checked, recorded in a store and used again."""

import json

import pyarrow.parquet as pq
import pytest

from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import CropOptions, FaceStore
from lightly_marlin.store.crop_options import common_crops
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video

TURNED = CropOptions(min_face=50, detector="hog", align_eyes=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_face": 0}, r"Invalid min_face \(0\). It must be a positive integer"),
        ({"min_face": True}, r"min_face \(True\)"),
        ({"detector": "dog"}, r"detector \('dog'\). Supported values are hog, cnn, au"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        CropOptions(**options)


def test_round_trip():
    assert CropOptions.from_crops(TURNED.crops()) == TURNED
    with pytest.raises(UsageError, match="unknown options"):
        CropOptions.from_crops({**TURNED.crops(), "zoom": 2})
    with pytest.raises(UsageError, match="those of pipeline 1"):
        CropOptions.from_crops({**TURNED.crops(), "pipeline": 1})


def test_common_crops():
    crops = TURNED.crops()
    one, other = {**crops, "size": 1}, {**crops, "size": 2}
    assert common_crops([one, other]) == crops
    assert common_crops([one, {**other, "min_face": 51}]) is None
    # Damaged records may hold anything.
    assert common_crops([{**one, "detector": []}, one]) is None
    assert common_crops([{"size": 1}]) is None
    assert common_crops([]) is None


@pytest.fixture
def two_videos(tmp_path, make_frames, fake_faces):
    folder = tmp_path / "v"
    folder.mkdir()
    for name in "ab":
        write_video(folder / f"{name}.mp4", make_frames(20, 64, 64))
    return folder


@pytest.fixture
def prepared(two_videos, tmp_path):
    prepare_videos(two_videos, tmp_path / "s", num_workers=0, **vars(TURNED))
    return tmp_path / "s"


def test_a_store_says_how_it_was_cropped(prepared):
    assert FaceStore(prepared).crop_options == TURNED
    report = json.loads((prepared / "report.json").read_text())
    assert report["crops"] == TURNED.crops()


def test_stores_whose_index_does_not_say_so_are_asked_video_by_video(prepared):
    index = prepared / "index.parquet"
    table = pq.read_table(index)
    version = b"lightly_marlin.face_store_version"
    metadata = {version: table.schema.metadata[version]}
    pq.write_table(table.replace_schema_metadata(metadata), index)
    assert FaceStore(prepared).crop_options == TURNED


def test_a_store_of_different_crops(prepared, two_videos):
    prepare_videos(two_videos / "a.mp4", prepared, num_workers=0, align_eyes=True)
    with pytest.raises(UsageError, match="no options that all its tracks"):
        _ = FaceStore(prepared).crop_options
    prepare_videos(two_videos, prepared, num_workers=0)
    assert FaceStore(prepared).crop_options == CropOptions()


def test_a_store_of_another_pipeline(prepared, monkeypatch):
    monkeypatch.setattr("lightly_marlin.store.crop_options.PIPELINE_VERSION", 9)
    with pytest.raises(UsageError, match=r"store .*/s cannot be imitated.*pipeline 3"):
        _ = FaceStore(prepared).crop_options
