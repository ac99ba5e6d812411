"""Odd videos in every mode and format, against the windows that a list gives.

The transcription decodes all frames into a list, cuts it by the sentence in the
documentation, and encodes window by window.
"""

import json
import math
from fractions import Fraction

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load_file

from lightly_marlin.faces import crop_face
from lightly_marlin.features import ExtractionOptions, extract_features, extract_folder
from lightly_marlin.features.joined_table import write_joined_table
from lightly_marlin.video import iter_frames, write_video


def write_odd(path, frames, *, audio=False, turned=0, times=None):
    """Writes a video with sound before it, turned, or at times of its own."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000) if audio else None
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if turned:
            stream.set_display_rotation(turned)
        if sound is not None:
            silence = np.zeros((1, 8000), np.int16)
            chunk = av.AudioFrame.from_ndarray(silence, layout="mono")
            chunk.sample_rate = 8000
            container.mux(sound.encode(chunk))
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, "rgb24")
            picture.pts = 40 * index if times is None else int(times[index])
            picture.time_base = Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


@pytest.fixture
def odd_videos(tmp_path, make_frames):
    """A folder of every oddity; all but `dark` have a face where they are bright."""
    folder = tmp_path / "videos"
    folder.mkdir()
    dark = make_frames(50, face=False)
    times = np.cumsum(np.random.default_rng(0).integers(10, 400, 45))
    write_odd(folder / "mid_window.mkv", make_frames(75))
    write_odd(folder / "one_frame.mkv", make_frames(1))
    write_odd(folder / "face_at_end.mkv", np.concatenate([dark, make_frames(3)]))
    write_odd(folder / "audio_first.mkv", make_frames(40), audio=True)
    write_odd(folder / "variable.mkv", make_frames(45), times=times)
    write_odd(folder / "odd_size.mkv", make_frames(34, 37, 53))
    write_odd(folder / "turned.mp4", make_frames(40, 36, 64), turned=90)
    write_odd(folder / "dark.mkv", dark)
    two = [make_frames(40, seed=1), dark[:5], make_frames(20, seed=2)]
    write_odd(folder / "two_faces.mkv", np.concatenate(two))
    write_video(tmp_path / "whole.mpg", make_frames(60, 64, 64), codec="mpeg1video")
    whole = (tmp_path / "whole.mpg").read_bytes()
    (folder / "cut_off.mpg").write_bytes(whole[: len(whole) // 2])
    return folder


def frames_of(path):
    """The middle squares of all frames, as 32 x 32 pixels."""
    for frame in iter_frames(path):
        height, width = frame.shape[:2]
        side = min(height, width)
        left, top = (width - side) / 2, (height - side) / 2
        box = np.array([left, top, left + side, top + side])
        yield frame if (height, width) == (32, 32) else crop_face(frame, box, 32)


def faces_of(path):
    """The crops of every run of bright frames, with its first frame."""
    frames = list(iter_frames(path))
    bright = [frame.mean() > 85 for frame in frames] + [False]
    edges = np.flatnonzero(np.diff([False, *bright]))
    for start, stop in edges.reshape(-1, 2):
        height, width = frames[0].shape[:2]
        centre = np.array([width / 2, height / 2])
        moves = centre + np.linspace(-2, 2, stop - start)[:, None]
        boxes = np.concatenate([moves - 12, moves + 12], axis=1).astype(np.float32)
        crops = zip(frames[start:stop], boxes, strict=True)
        yield start, [crop_face(frame, box, 32) for frame, box in crops]


def starts_of(count):
    """The first sampled frames of the windows over `count` of them."""
    last = max(0, count - 16)
    return [min(16 * i, last) for i in range(1 + math.ceil(last / 16))]


def expected_rows(path, encoder, mode):
    """Naively: (first frame, features) of every row, track by track."""
    if mode["crop_face"]:
        tracks = list(faces_of(path))
        tracks = tracks if mode["all_faces"] else tracks[:1]
    else:
        tracks = [(0, list(frames_of(path)))]
    rows = []
    for first, frames in tracks:
        sampled = frames[::2]
        encoded = []
        for start in starts_of(len(sampled)):
            clip = sampled[start : start + 16]
            clip = clip + clip[-1:] * (16 - len(clip))
            video = torch.from_numpy(np.stack(clip)).permute(3, 0, 1, 2)[None]
            encode = encoder.encode if mode["keep_seq"] else encoder
            with torch.no_grad():
                encoded.append((first + 2 * start, encode(video)[0]))
        if mode["reduction"] != "none":
            vectors = torch.stack([vector for _, vector in encoded])
            mean = mode["reduction"] == "mean"
            encoded = [(first, vectors.mean(0) if mean else vectors.amax(0))]
        rows += encoded
    return rows


MODES = {
    "none": {},
    "mean": {"reduction": "mean"},
    "max": {"reduction": "max"},
    "tokens": {"keep_seq": True},
    "face": {"crop_face": True},
    "faces": {"crop_face": True, "all_faces": True},
    "mean of faces": {"crop_face": True, "all_faces": True, "reduction": "mean"},
    "tokens of faces": {"crop_face": True, "all_faces": True, "keep_seq": True},
}
DEFAULTS = {"crop_face": False, "all_faces": False, "reduction": "none"}


@pytest.mark.parametrize("file_format", ["npy", "safetensors"])
@pytest.mark.parametrize("name", MODES)
def test_rows(name, file_format, odd_videos, encoder, bright_faces, tmp_path):
    mode = {**DEFAULTS, "keep_seq": False, **MODES[name]}
    options = ExtractionOptions(**mode)
    out = tmp_path / "out"
    summary = extract_folder(
        encoder, odd_videos, out, options=options, file_format=file_format
    )
    if not mode["keep_seq"]:
        write_joined_table(out, summary.records)
        table = pq.read_table(out / "features.parquet").to_pylist()
    index = pq.read_table(out / "index.parquet").to_pylist()
    assert len(summary.records) == 10
    for entry in summary.records:
        rows = expected_rows(odd_videos / entry.source, encoder, mode)
        found = read(out / entry.file)
        assert found.dtype == np.float32
        shape = (32, 24) if mode["keep_seq"] else (24,)
        assert found.shape == (len(rows), *shape)
        own = [row for row in index if row["source"] == entry.source]
        assert [row["row"] for row in own] == list(range(len(rows)))
        assert [row["start_frame"] for row in own] == [start for start, _ in rows]
        for vector, (_, expected) in zip(found, rows, strict=True):
            np.testing.assert_allclose(vector, expected.numpy(), atol=2e-5)
        if not mode["keep_seq"]:
            vectors = [r["features"] for r in table if r["source"] == entry.source]
            np.testing.assert_array_equal(
                np.float32(vectors).reshape(found.shape), found
            )


def read(path):
    return np.load(path) if path.suffix == ".npy" else load_file(path)["features"]


def test_what_is_said_of_them(odd_videos, encoder, bright_faces, tmp_path):
    out = tmp_path / "out"
    options = ExtractionOptions(crop_face=True)
    extract_folder(encoder, odd_videos, out, options=options)
    report = json.loads((out / "report.json").read_text())
    videos = {video["source"]: video for video in report["videos"]}
    dark = videos.pop("dark.mkv")
    assert (dark["status"], dark["rows"], dark["file"]) == ("no_face", 0, "dark.npy")
    assert dark["reason"] == "no face was found in its 50 frames"
    assert {video["status"] for video in videos.values()} == {"ok"}
    assert 0 < videos["cut_off.mpg"]["frames"] < 60
    assert videos["face_at_end.mkv"]["frames"] == 53
    index = pq.read_table(out / "index.parquet").to_pylist()
    late = next(row for row in index if row["source"] == "face_at_end.mkv")
    assert (late["start_frame"], late["num_frames"]) == (50, 2)
    assert late["start_seconds"] == 2.0


@pytest.mark.parametrize("crop_face", [False, True])
def test_seconds_of_a_variable_rate(
    crop_face, odd_videos, encoder, bright_faces, tmp_path
):
    path = odd_videos / "variable.mkv"
    times = np.cumsum(np.random.default_rng(0).integers(10, 400, 45)) / 1000
    expected = [0.0, pytest.approx(times[14] - times[0])]
    options = ExtractionOptions(crop_face=crop_face)
    extract_folder(encoder, path, tmp_path / "out", options=options)
    index = pq.read_table(tmp_path / "out" / "index.parquet").to_pylist()
    assert [row["start_frame"] for row in index] == [0, 14]
    assert [row["start_seconds"] for row in index] == expected
    found = extract_features(encoder, path, crop_face=crop_face)
    assert list(found.start_seconds) == expected
