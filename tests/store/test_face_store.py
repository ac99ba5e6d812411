import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lightly_marlin.faces import crop_face, regions_from_landmarks
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.regions import RegionCells
from lightly_marlin.store import FaceStore
from lightly_marlin.store.format import VERSION_KEY, video_id
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import reader as video


@pytest.fixture
def store(videos, tmp_path, fake_faces):
    prepare_videos(videos, tmp_path / "store", num_workers=0)
    return FaceStore(tmp_path / "store")


def test_face_store_index(store):
    assert len(store) == 2
    assert [track.source for track in store] == ["a.mp4", "deep/a.mp4"]
    assert [track.num_frames for track in store] == [40, 24]
    assert store[-1].track_id == store[1].track_id
    assert len(set(store.column("track_id"))) == 2
    table = pq.read_table(store.path / "index.parquet")
    assert {"track_id", "source", "start_frame", "num_frames", "fps"} <= set(
        table.column_names
    )
    row = store[0].row
    assert (row.width, row.height, row.fps, row.coverage) == (128, 96, 25.0, 0.25)


def test_face_store_indices_of_tracks(store):
    first, second = store.column("track_id")
    assert store.indices_of(None) == [0, 1]
    assert store.indices_of([second, first]) == [0, 1]
    assert store.indices_of({second}) == [1]
    assert store.indices_of([]) == []
    with pytest.raises(ValueError, match="Invalid tracks: nobody not in"):
        store.indices_of([second, "nobody"])


def test_face_store_index_says_how_good_a_track_is(store, videos):
    row = store[0].row
    assert row.person_id == f"{video_id('a.mp4')}_p00"
    assert row.detected_share == row.coverage == 0.25
    assert row.landmark_confidence is None
    assert row.face_size == pytest.approx(60)
    # The ring of landmarks has a radius of 0.3 crop sides, a face box is 2.79 of them.
    assert row.face_width == pytest.approx(2.79 * 0.3 * 60, rel=1e-3)
    assert row.box_jitter == pytest.approx(0, abs=1e-5)
    faces = [frame[24:72, 40:88] for frame in video.iter_frames(videos / "a.mp4")]
    luma = np.mean(faces, axis=(0, 1, 2)) @ (0.299, 0.587, 0.114)
    assert row.brightness == pytest.approx(luma, abs=8)
    assert row.contrast > 5
    # A smooth gradient, enlarged almost four times, has hardly any detail.
    assert row.sharpness < 0.08


def test_track_frames_are_the_crops(store, videos):
    track = store[0]
    frames = list(video.iter_frames(videos / track.source))
    crops = np.stack(
        [crop_face(frame, box) for frame, box in zip(frames, track.boxes, strict=True)]
    )
    assert track.frames.shape == (40, 224, 224, 3)
    assert track.frames.dtype == np.uint8
    # JPEG's loss on smooth pictures is small, and there is no shift in colour.
    difference = track.frames.astype(int) - crops
    assert np.abs(difference).mean() < 2.5
    assert np.abs(difference.mean(axis=(0, 1, 2))).max() < 1


def test_track_cells_are_exact(store):
    track = store[0]
    labels = regions_from_landmarks(track.landmarks, 224, 224)
    expected = RegionCells.from_labels(torch.from_numpy(labels)).bits
    assert track.cells.bits.dtype == torch.int32
    assert torch.equal(track.cells.bits, expected)
    assert track.landmarks.shape == (40, 68, 2)
    assert track.boxes.shape == (40, 4)


def test_landmarks_return_to_the_source(store):
    """`FakeFinder` puts them on a ring of 0.3 sides about the middle of the box."""
    track = store[0]
    boxes = track.read_boxes([3, 30])
    np.testing.assert_array_equal(boxes, track.boxes[[3, 30]])
    points = track.read_landmarks([3, 30], in_source=True)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    np.testing.assert_allclose(points.mean(axis=1), middles, atol=0.01)
    radius = np.linalg.norm(points - middles[:, None], axis=-1)
    np.testing.assert_allclose(radius, 0.3 * 60, atol=0.01)
    crop = track.read_landmarks([3, 30])
    np.testing.assert_array_equal(crop, track.landmarks[[3, 30]])


def test_records_are_those_of_the_videos(store):
    records = store.records()
    assert [record.source for record in records] == [
        "a.mp4",
        "deep/a.mp4",
        "empty.mp4",
        "no face.mkv",
        "short.mp4",
        "text.mp4",
    ]
    assert records[0].rows[0] == store[0].row
    (store.path / "tracks" / video_id("a.mp4") / "video.json").write_text("{")
    assert len(store.records()) == 5


def test_read_video_some_frames(store):
    track = store[0]
    some = track.read_video([0, 5, 39])
    assert some.shape == (3, 3, 224, 224)
    assert (some.transpose(1, 2, 3, 0) == track.frames[[0, 5, 39]]).all()


def test_crops_play_as_a_video(store):
    track = store[0]
    with video.VideoReader(store.path / track.row.video) as reader:
        frames = np.stack(list(reader))
    assert reader.fps == pytest.approx(25)
    assert np.abs(frames.astype(int) - track.frames).mean() < 1


def test_store_is_small(store):
    files = [path for path in store.path.rglob("track_*") if path.is_file()]
    total = sum(path.stat().st_size for path in files)
    assert total / sum(store.column("num_frames")) < 8200


def test_report(store):
    report = json.loads((store.path / "report.json").read_text())
    entries = {entry["source"]: entry for entry in report["videos"]}
    assert entries["a.mp4"] == {
        "source": "a.mp4",
        "status": "ok",
        "tracks": 1,
        "frames": 40,
        "reason": None,
    }
    assert entries["no face.mkv"]["status"] == "no_face"
    assert entries["text.mp4"]["status"] == "failed"
    assert "15 frames; 16 are needed" in entries["short.mp4"]["reason"]
    assert entries["empty.mp4"]["reason"] == "the file is empty"
    assert report["totals"]["videos"] == 6
    assert report["totals"]["tracks"] == 2


def test_face_store_no_store(tmp_path):
    with pytest.raises(UsageError, match="is no face store"):
        FaceStore(tmp_path)
    with pytest.raises(UsageError, match=r"cannot be read: .*name too long"):
        FaceStore("x" * 300)


def test_face_store_index_error(store):
    with pytest.raises(IndexError, match="has 2 tracks"):
        store[2]


def test_face_store_other_version(store):
    index = store.path / "index.parquet"
    table = pq.read_table(index).replace_schema_metadata({VERSION_KEY: b"99"})
    pq.write_table(table, index)
    with pytest.raises(UsageError, match="of version 99; this release reads version 3"):
        FaceStore(store.path)


def test_face_store_foreign_parquet(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "index.parquet")
    with pytest.raises(UsageError, match="of version unknown"):
        FaceStore(tmp_path)


def test_face_store_damaged_index(store):
    index = store.path / "index.parquet"
    index.write_bytes(index.read_bytes()[:100])
    with pytest.raises(UsageError, match=r"index .* cannot be read"):
        FaceStore(store.path)


@pytest.mark.parametrize("name", ["cells", "frames"])
def test_track_damaged_array(store, name):
    track = store[0]
    path = store.path / track.row.array_path(name)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UsageError, match="prepare the videos again"):
        track.read_video([39]), track.read_cells([39])


def test_track_damaged_video(store):
    track = store[0]
    path = store.path / track.row.video
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UsageError, match=r"crops .* are damaged at byte"):
        track.read_video([39])
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        track.read_video([0])
