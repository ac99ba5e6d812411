import json
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from lightly_marlin.features import ExtractionOptions, extract_store, store_sources
from lightly_marlin.features.video_windows import to_square
from lightly_marlin.features.windows import window_places
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.errors import UsageError


@pytest.fixture
def store(tmp_path, save, make_frames, fake_faces):
    """Two tracks in one video, one in another, none in a third, and a broken file."""
    dark = make_frames(6, 96, 96, face=False)
    two = [make_frames(40, 96, 96), dark, make_frames(70, 96, 96, seed=1)]
    save("videos/two.mkv", np.concatenate(two))
    save("videos/deep/one.mkv", make_frames(33, 96, 96, seed=2), fps=20.0)
    save("videos/dark.mkv", make_frames(20, 96, 96, face=False))
    (tmp_path / "videos" / "text.mp4").write_text("no video")
    prepare_videos(tmp_path / "videos", tmp_path / "store", all_faces=True)
    return FaceStore(tmp_path / "store")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """The finder of the tests is not in a worker."""
    name = "lightly_marlin.preparation.prepare_folder.available_cores"
    monkeypatch.setattr(name, lambda: 0)


def expected_features(store, encoder, **options):
    """Features of all windows, from all crops of every track at once."""
    config, found = encoder.config, {}
    for track in store:
        crops = [to_square(frame, config.img_size) for frame in track.frames]
        places = window_places(
            track.num_frames, 16, sample_rate=2, stride=16, **options
        )
        for place in places:
            frames = crops[place.start_frame : place.last_frame + 1 : 2]
            frames += frames[-1:] * (16 - len(frames))
            clip = torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)
            with torch.no_grad():
                vector = encoder(clip[None])[0]
            start = track.start_frame + place.start_frame
            found.setdefault(track.source, []).append((track.track_id, start, vector))
    return found


@pytest.mark.parametrize("num_workers", [0, 2])
def test_windows_of_every_track(num_workers, store, encoder, tmp_path):
    out = tmp_path / "out"
    summary = extract_store(encoder, store, out, num_workers=num_workers, batch_size=3)
    expected = expected_features(store, encoder)
    assert sorted(expected) == ["deep/one.mkv", "two.mkv"]
    index = pq.read_table(out / "index.parquet").to_pylist()
    for source, rows in expected.items():
        own = [row for row in index if row["source"] == source]
        assert [row["track_id"] for row in own] == [row[0] for row in rows]
        assert [row["start_frame"] for row in own] == [row[1] for row in rows]
        found = torch.from_numpy(np.load(out / own[0]["file"]))
        torch.testing.assert_close(found, torch.stack([row[2] for row in rows]))
    assert len(index) == summary.num_rows == (2 + 3) + 2


def test_times_and_widths_are_those_of_the_store(store, encoder, tmp_path):
    summary = extract_store(encoder, store, tmp_path / "out")
    records = {record.source: record for record in summary.records}
    first = records["deep/one.mkv"].rows
    assert [row.start_seconds for row in first] == [0.0, 2 / 20]
    assert [row.middle_seconds for row in first] == pytest.approx([15 / 20, 17 / 20])
    widths = dict(
        zip(store.column("track_id"), store.column("face_width"), strict=True)
    )
    for record in records.values():
        assert all(row.face_width == widths[row.track_id] for row in record.rows)


def test_outcomes_are_those_of_the_store(store, encoder, tmp_path):
    out = tmp_path / "out"
    summary = extract_store(encoder, store.path, out)
    assert store_sources(store) == ["dark.mkv", "deep/one.mkv", "text.mp4", "two.mkv"]
    found = {r.source: (r.status, r.reason) for r in summary.records}
    assert found == {r.source: (r.status, r.reason) for r in store.records()}
    assert found["dark.mkv"][0], found["text.mp4"][0] == ("no_face", "failed")
    assert np.load(out / "dark.npy").shape == (0, 24)
    assert not (out / "text.npy").exists()
    report = json.loads((out / "report.json").read_text())
    assert report["crops"] == store.crop_options.crops()


def test_tokens_in_half_precision(store, encoder, tmp_path):
    options = ExtractionOptions(keep_seq=True, pool_tokens=2, dtype="float16")
    extract_store(encoder, store, tmp_path / "out", options=options)
    array = np.load(tmp_path / "out" / "two.npy")
    assert (array.shape, array.dtype) == ((5, 8, 24), np.float16)


def test_only_needed_crops_are_decoded(store, encoder, tmp_path, monkeypatch):
    module, counts = "lightly_marlin.store.track.read_crops", []
    from lightly_marlin.store.crop_video import read_crops

    def counting(path, table, size, **where):
        counts.append(len(table))
        return read_crops(path, table, size, **where)

    monkeypatch.setattr(module, counting)
    options = ExtractionOptions(sample_rate=4)
    extract_store(
        encoder, store, tmp_path / "out", options=options, sources=["deep/one.mkv"]
    )
    assert sum(counts) == 9


def test_stretches(store, encoder, tmp_path):
    """The second track of the video begins with frame 46, at 1.84 s."""
    segments = {"two.mkv": [(1.5, 1.95), (10.0, 11.0)]}
    summary = extract_store(encoder, store, tmp_path / "out", segments=segments)
    record = next(r for r in summary.records if r.source == "two.mkv")
    own = [row for row in record.rows if row.stretch_end]
    found = [(row.track_id[-3:], row.start_frame, row.num_frames) for row in own]
    assert found == [("000", 38, 1), ("001", 46, 2)]
    again = extract_store(encoder, store, tmp_path / "out", segments=segments)
    # The broken video is tried again.
    assert again.num_finished_before == 3
    assert extract_store(encoder, store, tmp_path / "out").num_finished_before == 2


@pytest.mark.parametrize("form", ["touched", "weights", "stride", "nothing"])
def test_what_changed_is_done_again(form, store, encoder, tmp_path):
    out = tmp_path / "out"
    extract_store(encoder, store, out)
    options, count = ExtractionOptions(), 3
    if form == "touched":
        os.utime(store.path / store[0].row.video, ns=(1, 1))
        count = 2
    elif form == "weights":
        encoder, count = type(encoder)(encoder.config), 0
    elif form == "stride":
        options, count = ExtractionOptions(stride=8), 0
    summary = extract_store(encoder, store, out, options=options)
    assert summary.num_finished_before == count


def test_a_damaged_track_costs_its_video(store, encoder, tmp_path):
    path = store.path / next(t.row.video for t in store if t.source == "two.mkv")
    path.write_bytes(path.read_bytes()[:500])
    summary = extract_store(encoder, store, tmp_path / "out")
    records = {record.source: record for record in summary.records}
    assert records["two.mkv"].status == "failed"
    assert "damaged at byte" in records["two.mkv"].reason
    assert records["deep/one.mkv"].status == "ok"


def test_a_store_whose_index_lags_behind(store, encoder, tmp_path):
    """A run that was killed has records that the index lacks."""
    index = pq.read_table(store.path / "index.parquet")
    pq.write_table(index.slice(0, 1), store.path / "index.parquet")
    summary = extract_store(encoder, store.path, tmp_path / "out")
    assert summary.num_rows == 2 + 5
    shutil.rmtree(store.path / "tracks")
    summary = extract_store(encoder, store.path, tmp_path / "other")
    assert {r.source: r.status for r in summary.records} == {"deep/one.mkv": "failed"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_face": True}, r"crop_face \(True\): the crops are those of the store"),
        ({"min_face": 30}, r"min_face \(30\): the crops are those of the store"),
        ({"dtype": "float32"}, "there is no 'gone.mkv' in"),
    ],
)
def test_bad_options(options, message, store, encoder, tmp_path):
    with pytest.raises(UsageError, match=message):
        extract_store(
            encoder,
            store,
            tmp_path / "out",
            options=ExtractionOptions(**options),
            sources=["gone.mkv"],
        )
    assert not (tmp_path / "out").exists()
