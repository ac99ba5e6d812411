"""Dubbed videos from end to end, with a stand-in for the finder of faces."""

import copy

import av
import numpy as np
import pytest
import torch
from torch import nn

from lightly_marlin.audio import AudioError, read_audio
from lightly_marlin.lip_sync import LipSyncGenerator, plan_dub, write_dub
from lightly_marlin.lip_sync.dubbing.dub_video import DUBBED_NOTE
from lightly_marlin.lip_sync.dubbing.paste_back import paste_mouth
from lightly_marlin.preparation.video_faces import NoFaceError
from lightly_marlin.video import VideoError, VideoReader, iter_frames, write_video

LOSSLESS = {"codec": "ffv1", "pixel_format": "bgr0"}


class OneColor(nn.Module):
    """Draws green, and remembers what it was given."""

    num_frames, size, input_size = 16, 24, 40

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))
        self.references, self.mels = [], []

    def forward(self, masked, reference, mel):
        self.references.append(reference[0, :, 0])
        self.mels.append(mel)
        drawn = masked.new_zeros(
            (*masked.shape[:3], self.size, self.size), dtype=torch.float32
        )
        drawn[:, 1] = 1
        return drawn


@pytest.fixture
def sound(tmp_path, make_frames):
    """Two seconds of silence with a click 0.6 s after the first picture."""
    samples = np.zeros(32000)
    samples[9600:9616] = 0.9
    write_video(tmp_path / "sound.mp4", make_frames(3, 32, 32), audio=samples)
    return tmp_path / "sound.mp4"


@pytest.fixture
def written(monkeypatch):
    """The frames on their way to the encoder."""
    frames = []

    def keep(path, incoming, *rest, **options):
        def taken():
            for frame in incoming:
                frames.append(frame)
                yield frame

        write_video(path, taken(), *rest, **options)

    monkeypatch.setattr("lightly_marlin.lip_sync.dubbing.dub_video.write_video", keep)
    return frames


def mouth_area(frame, boxes):
    """Whether each pixel of a frame lies in the lower half of any box."""
    inside = np.zeros(frame.shape[:2], bool)
    for x0, y0, x1, y1 in boxes:
        top = int(np.floor((y0 + y1) / 2))
        inside[top : int(np.ceil(y1)), int(np.floor(x0)) : int(np.ceil(x1))] = True
    return inside


def test_only_the_mouth_changes(tmp_path, make_frames, fake_faces, sound, written):
    write_video(tmp_path / "a.mkv", make_frames(40), 30, **LOSSLESS)
    plan = plan_dub(tmp_path / "a.mkv", sound)
    write_dub(plan, OneColor(), tmp_path / "out.mp4")
    source = list(iter_frames(tmp_path / "a.mkv"))
    assert len(written) == len(source) == 40
    for index, (before, after) in enumerate(zip(source, written, strict=True)):
        box = plan.track.boxes[index]
        area = mouth_area(before, [box])
        assert np.array_equal(before[~area], after[~area])
        x, y = ((box[:2] + box[2:]) / 2).astype(int)
        assert after[y + 15, x].tolist() == [0, 255, 0]
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert len(list(reader)) == 40
        assert reader.fps == 30
    assert not list(tmp_path.glob(".*"))


def test_a_turned_crop_is_turned_back(
    tmp_path, make_frames, fake_faces, sound, written
):
    frames = make_frames(20)
    write_video(tmp_path / "a.mkv", frames, **LOSSLESS)
    plan = plan_dub(tmp_path / "a.mkv", sound)
    plan.track.angles[:] = 0.4
    write_dub(plan, OneColor(), tmp_path / "out.mp4")
    green = np.zeros((24, 24, 3), np.uint8)
    green[..., 1] = 255
    for frame, box, after in zip(frames, plan.track.boxes, written, strict=True):
        angle = float(np.float32(0.4))
        assert np.array_equal(after, paste_mouth(frame, green, box, angle))


def test_the_file_is_marked_and_speaks(tmp_path, make_frames, fake_faces, sound):
    write_video(tmp_path / "a.mp4", make_frames(40), 25, audio=np.full(9000, 0.3))
    for name in ("out.mp4", "out.mov", "out.mkv"):
        plan = plan_dub(tmp_path / "a.mp4", sound)
        write_dub(plan, OneColor(), tmp_path / name)
        with av.open(str(tmp_path / name)) as container:
            notes = {key.lower(): v for key, v in container.metadata.items()}
        assert notes["comment"] == DUBBED_NOTE
        assert "generated" in DUBBED_NOTE
        samples, start = read_audio(tmp_path / name)
        heard = np.abs(samples).argmax() / 16000 + start
        assert heard == pytest.approx(0.6, abs=0.002)
        # A frame of AAC is 1024 samples long.
        assert len(samples) / 16000 == pytest.approx(1.6, abs=0.03)


def test_each_frame_hears_its_moment(tmp_path, make_frames, fake_faces, sound):
    """The click is in the first step of the window of the frame beside it."""
    for fps in (25, 30000 / 1001):
        write_video(tmp_path / "a.mp4", make_frames(40), fps)
        model = OneColor()
        write_dub(plan_dub(tmp_path / "a.mp4", sound), model, tmp_path / "out.mp4")
        windows = torch.cat([mel[0, :8, 0] for mel in model.mels])
        steps = windows.amax(dim=1).argmax(dim=1)
        loud = windows.amax(dim=(1, 2)) > 0
        for frame in torch.nonzero(loud).flatten().tolist():
            seconds = frame / fps + int(steps[frame]) / 80
            assert seconds == pytest.approx(0.6, abs=0.03)
        assert loud.sum() >= 4


def test_a_face_in_a_part_of_the_video(
    tmp_path, make_frames, fake_faces, sound, written
):
    dark = make_frames(10, face=False)
    frames = np.concatenate([dark, make_frames(20), dark, make_frames(17)])
    write_video(tmp_path / "a.mkv", frames, **LOSSLESS)
    plan = plan_dub(tmp_path / "a.mkv", sound)
    assert (plan.track.start_frame, plan.track.num_frames) == (10, 20)
    notes = " ".join(plan.notes())
    assert "50 % from the left and 50 % from the top of the frame, 60 pixels" in notes
    assert "from 0.40 to 1.20 s" in notes
    assert "1 other face track stays as in the video." in notes
    assert "37 of 57 frames do not show this face" in notes
    assert "The sound is shorter than the video (2.28 s)" in notes
    write_dub(plan, OneColor(), tmp_path / "out.mp4")
    changed = [
        index
        for index, pair in enumerate(zip(frames, written, strict=True))
        if not np.array_equal(*pair)
    ]
    assert changed == list(range(10, 30))


@pytest.mark.parametrize("length", [7, 1])
def test_a_short_video_keeps_its_length(
    tmp_path, make_frames, fake_faces, sound, length
):
    write_video(tmp_path / "a.mp4", make_frames(length))
    plan = plan_dub(tmp_path / "a.mp4", sound)
    seen = []
    write_dub(plan, OneColor(), tmp_path / "out.mp4", on_frame=lambda: seen.append(1))
    assert len(list(iter_frames(tmp_path / "out.mp4"))) == len(seen) == length


def test_a_variable_frame_rate_is_kept(tmp_path, make_frames, fake_faces, sound):
    steps = [0.03 if index % 10 else 0.09 for index in range(29)]
    seconds = np.cumsum([0, *steps])
    write_video(tmp_path / "a.mp4", make_frames(30), 30, seconds=seconds)
    plan, model = plan_dub(tmp_path / "a.mp4", sound), OneColor()
    assert any("every frame keeps its time" in note for note in plan.notes())
    write_dub(plan, model, tmp_path / "out.mp4")
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert len(list(reader)) == 30
        assert np.abs(reader.seconds - seconds).max() < 1e-3
    expected = plan.sound.windows([int(90000 * s + 0.5) for s in seconds[:16]], 90000)
    assert torch.equal(model.mels[0][0], expected)


def test_the_reference_is_the_first_frame_in_which_a_face_was_detected(
    tmp_path, make_frames, fake_faces, sound, monkeypatch
):
    frames = make_frames(24)
    frames[2] = 255
    write_video(tmp_path / "a.mkv", frames, **LOSSLESS)
    plan, model = plan_dub(tmp_path / "a.mkv", sound), OneColor()
    plan.track.detected[:] = np.arange(24) >= 2
    write_dub(plan, model, tmp_path / "out.mp4")
    assert len(model.references) == 2
    assert all((reference == 255).all() for reference in model.references)
    assert model.references[0].shape == (3, 40, 40)


def test_odd_sizes_and_changes_of_size(
    tmp_path, make_frames, fake_faces, sound, write_browser_webm
):
    write_video(tmp_path / "a.mkv", make_frames(20, 97, 129), **LOSSLESS)
    plan = plan_dub(tmp_path / "a.mkv", sound)
    assert any("last row or column is left out" in note for note in plan.notes())
    write_dub(plan, OneColor(), tmp_path / "out.mp4")
    assert next(iter_frames(tmp_path / "out.mp4")).shape == (96, 128, 3)
    frames = [*make_frames(20), *make_frames(6, 48, 64)]
    stamps = [40 * index for index in range(26)]
    write_browser_webm(tmp_path / "b.webm", frames, stamps)
    plan = plan_dub(tmp_path / "b.webm", sound)
    assert any("the size of its frames changes" in note for note in plan.notes())
    write_dub(plan, OneColor(), tmp_path / "out.mp4")
    assert {f.shape for f in iter_frames(tmp_path / "out.mp4")} == {(96, 128, 3)}


def test_a_real_generator(tmp_path, make_frames, fake_faces, sound, encoder):
    torch.manual_seed(0)
    model = LipSyncGenerator(copy.deepcopy(encoder), size=32, audio_width=2)
    write_video(tmp_path / "a.mp4", make_frames(20))
    for name in ("one.mp4", "two.mp4"):
        write_dub(plan_dub(tmp_path / "a.mp4", sound), model, tmp_path / name)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    assert len(list(iter_frames(tmp_path / "one.mp4"))) == 20


def test_memory_holds_a_window_not_the_video(tmp_path, make_frames, fake_faces, sound):
    """A frame is written once its windows are done, long before the last is read."""
    write_video(tmp_path / "a.mp4", make_frames(80))
    model, windows = OneColor(), []
    write_dub(
        plan_dub(tmp_path / "a.mp4", sound),
        model,
        tmp_path / "out.mp4",
        on_frame=lambda: windows.append(len(model.mels)),
    )
    assert windows[0] == 2
    assert windows[40] <= 7
    assert windows[-1] == 9


def test_unusable_input_is_one_line(tmp_path, make_frames, fake_faces, sound):
    write_video(tmp_path / "a.mp4", make_frames(20))
    write_video(tmp_path / "dark.mp4", make_frames(20, face=False))
    (tmp_path / "text.mp4").write_text("no video")
    click = np.full(1600, 0.5)
    write_video(tmp_path / "click.mp4", make_frames(3, 32, 32), audio=click)
    with pytest.raises(NoFaceError, match="no face was found in its 20 frames"):
        plan_dub(tmp_path / "dark.mp4", sound)
    with pytest.raises(VideoError, match="cannot be opened"):
        plan_dub(tmp_path / "text.mp4", sound)
    with pytest.raises(AudioError, match="has no audio stream"):
        plan_dub(tmp_path / "a.mp4", tmp_path / "a.mp4")
    with pytest.raises(AudioError, match=r"lips need 0\.20 s, which are 5 frames"):
        plan_dub(tmp_path / "a.mp4", tmp_path / "click.mp4")


def test_a_video_that_changes_meanwhile(tmp_path, make_frames, fake_faces, sound):
    write_video(tmp_path / "a.mp4", make_frames(30))
    plan = plan_dub(tmp_path / "a.mp4", sound)
    for number in (20, 40):
        write_video(tmp_path / "a.mp4", make_frames(number))
        with pytest.raises(VideoError, match="it changed while it was read"):
            write_dub(plan, OneColor(), tmp_path / "out.mp4")
        assert not (tmp_path / "out.mp4").exists()
