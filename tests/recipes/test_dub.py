"""Dubbing from the command line: what it says, writes and refuses."""

import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from lightly_marlin.demo import write_demo_videos
from lightly_marlin.lip_sync import LipSyncGenerator, Wav2LipGenerator
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.video import VideoReader, iter_frames, write_video

RECIPE = Path(__file__).parents[2] / "recipes" / "dub.py"


@pytest.fixture(scope="module")
def dub(load_recipe):
    recipe = load_recipe("dub")
    return lambda *words: run_recipe(lambda: recipe.main([str(w) for w in words]))


@pytest.fixture(scope="module")
def files(tmp_path_factory, encoder, make_frames):
    """A video of a face, one without, a second of sound, and two generators."""
    tmp_path = tmp_path_factory.mktemp("files")
    torch.manual_seed(0)
    generator = LipSyncGenerator(encoder, size=32, audio_width=1)
    # Else it draws little more than the reference: here, all but black.
    torch.nn.init.constant_(generator.head[-1].bias, -6)
    generator.save_pretrained(tmp_path / "w")
    Wav2LipGenerator(2).save_pretrained(tmp_path / "frames")
    tone = 0.3 * np.sin(np.arange(16000) / 9)
    write_video(tmp_path / "a.mp4", make_frames(20), 25)
    write_video(tmp_path / "dark.mp4", make_frames(20, face=False), 25)
    write_video(tmp_path / "sound.mp4", make_frames(3, 32, 32), audio=tone)
    write_video(tmp_path / "click.mp4", make_frames(3, 32, 32), audio=tone[:1500])
    (tmp_path / "text.mp4").write_text("no video")
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        values = (32767 * tone[None]).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(values, "s16", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return tmp_path


@pytest.fixture
def folder(files, tmp_path):
    return Path(shutil.copytree(files, tmp_path, dirs_exist_ok=True))


@pytest.mark.parametrize("model", ["w", "frames"])
@pytest.mark.parametrize("sound", ["sound.wav", "sound.mp4"])
def test_dub__writes_and_says(folder, dub, fake_faces, capsys, model, sound):
    out = folder / "new" / "out.mp4"
    words = folder / "a.mp4", folder / sound, out, "--model", folder / model
    assert dub(*words, "--stride", "4", "--batch-size", "2", "--device", "cpu") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("The main face is dubbed: 50 % from the left and 50 %")
    assert said[1].startswith(
        "The sound is longer than the video (0.80 s): its last 0."
    )
    assert said[-1].startswith(
        f"{out} has 20 frames at 25 per second; its metadata say"
    )
    with VideoReader(out) as reader:
        assert len(list(reader)) == 20
        assert reader.fps == 25
    with av.open(str(out)) as container:
        assert "generated" in container.metadata["comment"]
        assert [s.type for s in container.streams] == ["video", "audio"]
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("video", "sound", "out", "more", "message"),
    [
        ("dark.mp4", "sound.wav", "out.mp4", "", "no face was found in its 20 frames"),
        ("text.mp4", "sound.wav", "out.mp4", "", "text.mp4: cannot be opened: not a v"),
        ("sound.wav", "sound.wav", "out.mp4", "", "sound.wav: has no video stream"),
        ("gone.mp4", "sound.wav", "out.mp4", "", "gone.mp4: cannot be opened"),
        ("a.mp4", "a.mp4", "out.mp4", "", "a.mp4: has no audio stream"),
        ("a.mp4", "text.mp4", "out.mp4", "", "text.mp4: cannot be opened: not a rec"),
        ("a.mp4", "click.mp4", "out.mp4", "", "lips need 0.20 s, which are 5 frames"),
        ("a.mp4", "sound.mp4", "a.mp4", "", "a.mp4 is VIDEO itself, which would be"),
        ("a.mp4", "sound.mp4", "sound.mp4", "", "sound.mp4 is SOUND itself"),
        ("a.mp4", "sound.wav", "out.avi", "", "must end in one of .mp4, .mov, .mkv"),
        ("a.mp4", "sound.wav", "text.mp4/out.mp4", "", "out.mp4 cannot be written: "),
        ("a.mp4", "sound.wav", "out.mp4", "--stride 17", "--stride 17: must be at mos"),
        ("a.mp4", "sound.wav", "out.mp4", "--stride 0", "must be a positive integer"),
        ("a.mp4", "sound.wav", "out.mp4", "--model gone/w", "no file or folder gone/w"),
        ("a.mp4", "sound.wav", "out.mp4", "--device tpu", "device tpu cannot be used"),
    ],
)
def test_dub__mistakes_are_one_line(
    folder, dub, fake_faces, capsys, video, sound, out, more, message
):
    files = {path: path.stat().st_size for path in folder.iterdir()}
    paths = [folder / name for name in (video, sound, out)]
    assert dub(*paths, "--model", folder / "w", *more.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert {path: path.stat().st_size for path in folder.iterdir()} == files


def test_dub__a_link_to_the_video_is_the_video(folder, dub, fake_faces, capsys):
    (folder / "link.mp4").symlink_to(folder / "a.mp4")
    words = folder / "a.mp4", folder / "sound.wav", folder / "link.mp4"
    assert dub(*words, "--model", folder / "w") == 2
    assert "is VIDEO itself" in capsys.readouterr().err


def test_dub__help_speaks_of_consent():
    done = subprocess.run(
        [sys.executable, RECIPE, "--help"], capture_output=True, text=True, check=True
    )
    text = " ".join(done.stdout.split())
    assert "Only dub people who have agreed to it" in text
    assert "metadata of the result say that the lips are generated" in text


def test_dub__a_face_that_is_really_found(folder, dub, capsys):
    (clip,) = write_demo_videos(folder / "demo", num_clips=1, num_frames=18)
    out = folder / "out.mp4"
    words = clip, folder / "sound.wav", out, "--model", folder / "w"
    assert dub(*words) == 0
    pairs = zip(iter_frames(clip), iter_frames(out), strict=True)
    change = np.mean([np.abs(a.astype(int) - b).mean(axis=2) for a, b in pairs], axis=0)
    height = len(change)
    # Forehead and eyes are only encoded again; the mouth is another one.
    assert change[: int(0.4 * height)].max() < 12
    assert change[int(0.55 * height) : int(0.65 * height), 140:180].mean() > 20
