import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from lightly_marlin.features import (
    ExtractionOptions,
    extract_features,
    extract_folder,
    extract_video,
    video_sources,
)
from lightly_marlin.video import iter_frames


@pytest.fixture
def videos(tmp_path, save, make_frames):
    """Three good videos, a dark one, and files that are none."""
    save("videos/a.mkv", make_frames(70))
    save("videos/deep/a.mkv", make_frames(40, seed=2), fps=20.0)
    save("videos/dark.mkv", make_frames(20, face=False))
    save("videos/short.mkv", make_frames(3))
    (tmp_path / "videos" / "text.mp4").write_text("no video")
    (tmp_path / "videos" / "empty.mp4").touch()
    return tmp_path / "videos"


def statuses(summary):
    return {record.source: record.status for record in summary.records}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_files_are_what_extract_video_gives(num_workers, videos, tmp_path, encoder):
    out = tmp_path / "out"
    summary = extract_folder(
        encoder, videos, out, batch_size=3, num_workers=num_workers
    )
    for name in ("a", "deep/a", "dark", "short"):
        expected = extract_video(encoder, videos / f"{name}.mkv")
        found = torch.from_numpy(np.load(out / f"{name}.npy"))
        torch.testing.assert_close(found, expected)
    assert statuses(summary)["text.mp4"] == statuses(summary)["empty.mp4"] == "failed"
    assert not (out / "text.npy").exists()
    assert summary.num_rows == 3 + 2 + 1 + 1


def test_index_says_where_every_row_is(videos, tmp_path, encoder):
    out = tmp_path / "out"
    extract_folder(encoder, videos, out)
    index = pq.read_table(out / "index.parquet").to_pylist()
    assert [row["source"] for row in index] == [
        *3 * ["a.mkv"],
        "dark.mkv",
        *2 * ["deep/a.mkv"],
        "short.mkv",
    ]
    assert [row["row"] for row in index] == [0, 1, 2, 0, 0, 1, 0]
    assert index[5]["file"] == "deep/a.npy"
    assert index[5]["start_frame"] == 8
    assert index[5]["start_seconds"] == 8 / 20
    # Frames 8 to 38.
    assert index[5]["middle_seconds"] == pytest.approx(23 / 20)
    assert {row["face_width"] for row in index} == {None}
    assert len({row["track_id"] for row in index}) == 4
    assert index[6]["num_frames"] == 2


def test_faces(videos, tmp_path, encoder, bright_faces):
    out = tmp_path / "out"
    options = ExtractionOptions(crop_face=True, min_face=20)
    summary = extract_folder(encoder, videos, out, options=options)
    assert statuses(summary)["dark.mkv"] == "no_face"
    assert np.load(out / "dark.npy").shape == (0, 24)
    report = json.loads((out / "report.json").read_text())
    dark = next(v for v in report["videos"] if v["source"] == "dark.mkv")
    assert (dark["status"], dark["rows"]) == ("no_face", 0)
    assert dark["reason"] == "no face was found in its 20 frames"
    assert "dark.mkv" not in pq.read_table(out / "index.parquet")["source"].to_pylist()


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"reduction": "mean"}, (1, 24)),
        ({"keep_seq": True}, (3, 32, 24)),
        ({"keep_seq": True, "reduction": "max"}, (1, 32, 24)),
        ({"keep_seq": True, "pool_tokens": 2, "dtype": "float16"}, (3, 8, 24)),
        ({"reference_windows": True}, (2, 24)),
    ],
)
def test_options(options, shape, videos, tmp_path, encoder):
    path, out = videos / "a.mkv", tmp_path / "out"
    extract_folder(encoder, path, out, options=ExtractionOptions(**options))
    found = np.load(out / "a.npy")
    assert found.shape == shape
    expected = extract_features(encoder, path, **options)
    torch.testing.assert_close(torch.from_numpy(found), expected.features)
    index = pq.read_table(out / "index.parquet").to_pylist()
    assert [row["start_frame"] for row in index] == list(expected.start_frames)


def stamps(out):
    return {p.name: p.stat().st_mtime_ns for p in out.rglob("*.npy")}


def test_finished_videos_are_left_alone(videos, tmp_path, encoder):
    out = tmp_path / "out"
    first = extract_folder(encoder, videos, out)
    before = stamps(out)
    again = extract_folder(encoder, videos, out)
    # Those that failed are tried again.
    assert (first.num_finished_before, again.num_finished_before) == (0, 4)
    assert stamps(out) == before
    assert again.records == first.records


def change(form, videos, out, encoder):
    """Changes something; returns (encoder, options, number of finished videos)."""
    if form == "video":
        os.utime(videos / "a.mkv", ns=(1, 1))
        return encoder, {}, 3
    if form == "file":
        (out / "short.npy").unlink()
        return encoder, {}, 3
    if form == "weights":
        other = type(encoder)(encoder.config)
        return other, {}, 0
    return encoder, {form: 3}, 0


def test_another_pipeline_does_all_again(videos, tmp_path, encoder, monkeypatch):
    out = tmp_path / "out"
    extract_folder(encoder, videos, out)
    name = "lightly_marlin.features.extraction_run._WINDOWS_VERSION"
    monkeypatch.setattr(name, 99)
    assert extract_folder(encoder, videos, out).num_finished_before == 0


@pytest.mark.parametrize("form", ["video", "file", "weights", "stride", "sample_rate"])
def test_what_changed_is_done_again(form, videos, tmp_path, encoder):
    out = tmp_path / "out"
    extract_folder(encoder, videos, out)
    model, options, count = change(form, videos, out, encoder)
    options = ExtractionOptions(**options)
    summary = extract_folder(model, videos, out, options=options)
    assert summary.num_finished_before == count
    expected = extract_video(
        model,
        videos / "a.mkv",
        stride=options.stride,
        sample_rate=options.sample_rate,
    )
    found = torch.from_numpy(np.load(out / "a.npy"))
    torch.testing.assert_close(found, expected)


def test_features_of_a_video_that_broke_are_removed(videos, tmp_path, encoder):
    out = tmp_path / "out"
    extract_folder(encoder, videos, out)
    (videos / "a.mkv").write_text("no video any more")
    summary = extract_folder(encoder, videos, out)
    assert statuses(summary)["a.mkv"] == "failed"
    assert not (out / "a.npy").exists()
    assert (out / "deep" / "a.npy").exists()


class StopError(Exception):
    pass


def test_a_run_that_was_stopped_goes_on(videos, tmp_path, encoder, monkeypatch):
    out, calls = tmp_path / "out", []
    forward = type(encoder).forward

    def count(self, x, *rest):
        calls.append(len(x))
        if len(calls) == 2:
            raise StopError
        return forward(self, x, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(type(encoder), "forward", count)
        with pytest.raises(StopError):
            extract_folder(encoder, videos, out, batch_size=4)
    assert (out / "a.npy").exists()
    assert [path.name for path in out.glob(".*")] == [".lock"]
    summary = extract_folder(encoder, videos, out, batch_size=4)
    assert summary.num_finished_before == 2
    whole = extract_folder(encoder, videos, tmp_path / "whole")
    assert [r.rows for r in summary.records] == [r.rows for r in whole.records]
    for path in (tmp_path / "whole").rglob("*.npy"):
        same = out / path.relative_to(tmp_path / "whole")
        np.testing.assert_allclose(np.load(same), np.load(path), atol=1e-5)


def test_names_that_differ_in_their_suffix_only(tmp_path, save, make_frames, encoder):
    save("videos/a.mkv", make_frames(3))
    save("videos/a.avi", make_frames(3, seed=4))
    out = tmp_path / "out"
    summary = extract_folder(encoder, tmp_path / "videos", out)
    assert [record.file for record in summary.records] == ["a.npy", "a.mkv.npy"]
    found = torch.from_numpy(np.load(out / "a.mkv.npy"))
    torch.testing.assert_close(
        found, extract_video(encoder, tmp_path / "videos" / "a.mkv")
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [({"file_format": "csv"}, "format"), ({"num_workers": -1}, "num_workers")],
)
def test_bad_options(options, message, videos, tmp_path, encoder):
    with pytest.raises(ValueError, match=f"Invalid {message}"):
        extract_folder(encoder, videos, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_some_of_the_videos(videos, tmp_path, encoder):
    """Their files have the names that they have among all."""
    (videos / "a.avi").write_bytes((videos / "short.mkv").read_bytes())
    assert video_sources(videos)[:2] == ["a.avi", "a.mkv"]
    out = tmp_path / "out"
    summary = extract_folder(encoder, videos, out, sources=["short.mkv", "a.mkv"])
    assert [r.source for r in summary.records] == ["a.mkv", "short.mkv"]
    assert summary.records[0].file == "a.mkv.npy"
    assert extract_folder(encoder, videos, out).num_finished_before == 2
    for sources, message in ((["b.mkv"], "no 'b.mkv' in"), ([], "there are none")):
        with pytest.raises(ValueError, match=message):
            extract_folder(encoder, videos, out, sources=sources)


def test_width_and_middle_of_faces(videos, tmp_path, encoder, bright_faces):
    options = ExtractionOptions(crop_face=True, min_face=20)
    summary = extract_folder(encoder, videos / "a.mkv", tmp_path, options=options)
    rows = summary.records[0].rows
    assert [row.middle_seconds for row in rows] == pytest.approx([0.6, 1.88, 2.12])
    # The landmarks of the finder lie in one point, whose box has almost no width.
    assert 0 < rows[0].face_width < 0.1


SEGMENTS = {
    "a.mkv": [(0.0, 0.2), (0.5, 1.0)],
    "deep/a.mkv": [(None, 1.5), (1.9, None)],
}


def test_segments(videos, tmp_path, encoder):
    """A stretch without the middle of a window has one of its own."""
    plain = extract_folder(encoder, videos, tmp_path / "plain")
    summary = extract_folder(encoder, videos, tmp_path / "out", segments=SEGMENTS)
    rows = {record.source: record.rows for record in summary.records}
    own = [row for row in rows["a.mkv"] if row.stretch_end]
    assert [(r.start_frame, r.num_frames, r.stretch_end) for r in own] == [(0, 3, 0.2)]
    own = [row for row in rows["deep/a.mkv"] if row.stretch_start]
    assert [(r.start_frame, r.num_frames) for r in own] == [(38, 1)]
    frames = list(iter_frames(videos / "a.mkv"))[0:5:2]
    clip = torch.from_numpy(np.stack(frames + frames[-1:] * 13))
    with torch.no_grad():
        expected = encoder(clip.permute(3, 0, 1, 2)[None])[0]
    arrays = np.load(tmp_path / "out" / "a.npy")
    torch.testing.assert_close(torch.from_numpy(arrays[0]), expected)
    # All else is as without.
    assert np.array_equal(arrays[1:], np.load(tmp_path / "plain" / "a.npy"))
    assert rows["short.mkv"] == next(
        r.rows for r in plain.records if r.source == "short.mkv"
    )


def test_other_segments_are_another_fingerprint(videos, tmp_path, encoder):
    out = tmp_path / "out"
    extract_folder(encoder, videos, out)
    again = extract_folder(encoder, videos, out, segments=SEGMENTS)
    assert again.num_finished_before == 2
    again = extract_folder(encoder, videos, out, segments=SEGMENTS)
    assert again.num_finished_before == 4


def test_segments_of_faces(save, make_frames, tmp_path, encoder, bright_faces):
    dark = make_frames(10, 48, 64, face=False)
    parts = [make_frames(40, 48, 64), dark, make_frames(40, 48, 64, seed=1)]
    path = save("faces.mkv", np.concatenate(parts))
    options = ExtractionOptions(crop_face=True, all_faces=True)
    # The first track ends with frame 39, the second begins with frame 50.
    segments = {"faces.mkv": [(1.5, 2.1), (1.62, 1.9)]}
    summary = extract_folder(
        encoder, path, tmp_path / "out", options=options, segments=segments
    )
    own = [row for row in summary.records[0].rows if row.stretch_end]
    found = [(row.track_id[-3:], row.start_frame, row.num_frames) for row in own]
    assert found == [("000", 38, 1), ("001", 50, 2)]


def test_segments_have_no_reduction(videos, tmp_path, encoder):
    options = ExtractionOptions(reduction="mean")
    with pytest.raises(ValueError, match="every window has a row of its own"):
        extract_folder(encoder, videos, tmp_path, options=options, segments=SEGMENTS)
