import argparse
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightly_marlin.demo.clips import demo_clips
from lightly_marlin.preparation.prepare_folder import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.video import write_video


@pytest.fixture(scope="module")
def recipe(load_recipe):
    return load_recipe("visualize_faces")


@pytest.fixture(scope="module")
def visualize_faces(recipe):
    def run(*arguments):
        return run_recipe(lambda: recipe.main([str(x) for x in arguments]))

    return run


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two faces by one name, a video without any, and no video at all."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "deep er").mkdir()
    for place, clip in zip(("", "deep er"), demo_clips(2, 20), strict=True):
        write_video(folder / place / "a.mp4", clip.frames, clip.fps)
    black = [np.zeros((64, 96, 3), np.uint8)] * 20
    write_video(folder / "a.mov", black, fps=10)
    (folder / "text.mp4").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def store(videos, tmp_path_factory):
    path = tmp_path_factory.mktemp("prepared") / "store"
    prepare_videos(videos, path, num_workers=0)
    return path


SHEETS = ["a.mov.png", "a.mp4.png", "deep er/a.mp4.png", "text.mp4.png"]


def files(folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(folder)) for path in paths)


def size(path):
    with Image.open(path) as picture:
        return picture.size


def test_visualize_faces__store(store, tmp_path, visualize_faces):
    assert visualize_faces(store, tmp_path / "sheets") == 0
    assert files(tmp_path / "sheets") == SHEETS
    heights = [size(tmp_path / "sheets" / name)[1] for name in SHEETS]
    # Frames and crops; frames alone; a title alone.
    assert heights[1] == heights[2] > heights[0] + 300
    assert heights[0] > heights[3]


def test_visualize_faces__raw_videos_give_the_same(
    videos, store, tmp_path, visualize_faces
):
    for source, out in ((videos, "raw"), (store, "prepared")):
        assert visualize_faces(source, tmp_path / out, "--workers", 1) == 0
    assert files(tmp_path / "raw") == SHEETS
    for name in SHEETS:
        first, second = (
            np.asarray(Image.open(tmp_path / out / name)) for out in ("raw", "prepared")
        )
        assert np.array_equal(first, second)


def test_visualize_faces__the_video_is_gone(videos, store, tmp_path, visualize_faces):
    """One has moved away and one is another by now: crops alone, and a word on it."""
    copies, other = tmp_path / "videos", tmp_path / "store"
    shutil.copytree(videos, copies)
    prepare_videos(copies, other, num_workers=0)
    (copies / "a.mp4").unlink()
    (copies / "deep er" / "a.mp4").write_bytes(b"something else")
    for name, source in (("gone", other), ("there", store)):
        assert visualize_faces(source, tmp_path / name) == 0
    for name in SHEETS[1:3]:
        heights = [size(tmp_path / out / name)[1] for out in ("gone", "there")]
        assert heights[0] < heights[1] - 150


def test_visualize_faces__gif_moves(store, tmp_path, visualize_faces):
    out = tmp_path / "sheets"
    assert visualize_faces(store, out, "--format", "gif", "--frames", 5) == 0
    assert files(out) == [name.replace(".png", ".gif") for name in SHEETS]
    with Image.open(out / "a.mp4.gif") as animation:
        assert animation.n_frames == 5
        assert animation.info["loop"] == 0
        assert animation.info["duration"] == pytest.approx(800 / 5, abs=10)
        frames = []
        for index in range(5):
            animation.seek(index)
            frames.append(np.asarray(animation.convert("RGB"), dtype=int))
    assert np.abs(frames[4] - frames[0]).mean() > 0.5
    # The video without a face has a pace of its own, too: 20 frames in 2 seconds.
    with Image.open(out / "a.mov.gif") as animation:
        assert (animation.n_frames, animation.info["duration"]) == (5, 400)


def test_visualize_faces__gif_of_crops_alone_lasts_as_long_as_the_track(store, recipe):
    opened = FaceStore(store)
    video = recipe.collect(opened, opened.records(), {})[1]
    record = dataclasses.replace(video.record, num_frames=999)
    gone = dataclasses.replace(video, path=None, record=record)
    options = argparse.Namespace(max_tracks=1, frames=4, format="gif")
    pictures, seconds = recipe.draw(gone, options)
    assert len(pictures) == 4
    assert seconds == pytest.approx(20 / video.tracks[0].fps)


def test_frame_rate(videos, recipe, tmp_path):
    assert recipe.frame_rate(videos / "a.mov") == 10
    for path in (None, videos / "text.mp4", tmp_path / "gone.mp4"):
        assert recipe.frame_rate(path) == 25


def test_visualize_faces__another_parser_keeps_cells_only(
    store, tmp_path, recipe, monkeypatch
):
    """Its full regions are not in the store; those of the landmarks are others."""
    other = tmp_path / "store"
    shutil.copytree(store, other)
    for path in other.glob("tracks/a_*/video.json"):
        value = json.loads(path.read_text())
        value["fingerprint"]["parser"] = "a.Parser"
        path.write_text(json.dumps(value))
    opened = FaceStore(other)
    videos = recipe.collect(opened, opened.records(), {})
    labels = [
        recipe.read_crops(video, track, [0])[0].labels
        for video in videos
        for track in video.tracks
    ]
    assert labels == [None, None]


def test_visualize_faces__a_video_that_became_shorter(store, recipe):
    opened = FaceStore(store)
    video = recipe.collect(opened, opened.records(), {})[1]
    frames, note = recipe.read_frames(video, [3, 19, 400])
    assert frames == []
    assert "has become shorter: crops only" in note
    frames, note = recipe.read_frames(video, [3, 19])
    assert [frame.caption for frame in frames] == [
        "frame 3 · 0.12 s",
        "frame 19 · 0.76 s",
    ]
    assert note is None
    (mark,) = frames[0].marks
    track = video.tracks[0]
    np.testing.assert_allclose(mark.box, track.boxes[3])
    inside = (mark.landmarks > mark.box[:2]) & (mark.landmarks < mark.box[2:])
    assert inside.all()


def test_visualize_faces__tracks_are_limited(store, recipe, tmp_path, visualize_faces):
    options = ("--max-tracks", 1, "--frames", 2)
    assert visualize_faces(store, tmp_path / "sheets", *options) == 0
    assert size(tmp_path / "sheets" / "a.mp4.png")[0] == 3 * 232 - 8 + 64


def test_sheet_path(recipe):
    out = Path("out")
    assert recipe.sheet_path(out, "b/a.mp4", "gif") == out / "b" / "a.mp4.gif"
    assert recipe.sheet_path(out, "../../a.mp4", "png") == out / "a.mp4.png"
    assert recipe.sheet_path(out, "/b/a.mp4", "png") == out / "b" / "a.mp4.png"
    long = recipe.sheet_path(out, "ä" * 120 + ".mp4", "png")
    assert len(long.name.encode()) < 100


@pytest.mark.parametrize(
    ("length", "count", "expected"),
    [(10, 2, [2, 7]), (3, 6, [0, 1, 2]), (1, 4, [0]), (0, 4, [])],
)
def test_spread(recipe, length, count, expected):
    assert recipe.spread(length, count) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "out"), "There is no file or folder nowhere"),
        (("STORE", "out", "--format", "jpg"), "invalid choice: 'jpg'"),
        (("STORE", "out", "--frames", "0"), "positive integer"),
        (("STORE", "STORE/index.parquet"), "cannot be written"),
        (("STORE",), "required: OUT"),
    ],
)
def test_visualize_faces__bad_input(arguments, message, store, visualize_faces, capsys):
    words = [word.replace("STORE", str(store)) for word in arguments]
    assert visualize_faces(*words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_visualize_faces__a_sheet_that_cannot_be_written(
    store, visualize_faces, tmp_path, capsys
):
    """It costs no other sheet."""
    (tmp_path / "out" / "a.mp4.png").mkdir(parents=True)
    assert visualize_faces(store, tmp_path / "out") == 0
    text = capsys.readouterr().out
    assert "a.mp4.png cannot be written: Is a directory." in text
    assert "3 sheets are in" in text
    assert (tmp_path / "out" / "deep er" / "a.mp4.png").is_file()


def test_frame_rate__of_a_time_base(recipe, tmp_path, make_frames, write_browser_webm):
    stamps = range(0, 2000, 100)
    path = write_browser_webm(tmp_path / "a.webm", make_frames(20), stamps)
    assert recipe.frame_rate(path) == pytest.approx(10)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_visualize_faces__a_size_that_changes(
    suffix, tmp_path, make_frames, write_browser_webm, fake_faces, visualize_faces
):
    frames = [*make_frames(20, 64, 64), *make_frames(20, 96, 160)]
    (tmp_path / "v").mkdir()
    write_browser_webm(tmp_path / "v" / "a.webm", frames, range(0, 1600, 40))
    prepare_videos(tmp_path / "v", tmp_path / "store", num_workers=0)
    out = tmp_path / "out"
    assert visualize_faces(tmp_path / "store", out, "--format", suffix) == 0
    assert (out / f"a.webm.{suffix}").is_file()
