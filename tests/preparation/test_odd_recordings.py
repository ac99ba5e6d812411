"""Real faces in odd recordings: the tracks are those of the plain recording."""

import json
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.video import VideoReader, iter_frames, write_video

pytestmark = pytest.mark.real_data

SIDE, NUM_FRAMES = 256, 20
RATIOS = {"4_3": (4, 3), "64_45": (64, 45), "8_9": (8, 9), "2_1": (2, 1)}


def resize(frames, width, height):
    pictures = (Image.fromarray(frame).resize((width, height)) for frame in frames)
    return np.stack([np.asarray(picture) for picture in pictures])


def encode(path, frames, codec="libx264", pixel_format="yuv420p", **more):
    """Writes frames with an aspect ratio of their pixels, or options of the encoder."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=more.get("options", {}))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixel_format
        stream.codec_context.sample_aspect_ratio = more.get("ratio", Fraction(1))
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode())


def mirror(path, a, d):
    """Overwrites the display matrix of an MP4."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    numbers = (a << 16, 0, 0, 0, d << 16, 0, 0, 0, 1 << 30)
    data[place : place + 36] = struct.pack(">9i", *numbers)
    path.write_bytes(data)


def to_pq(frames):
    """Returns the PQ signal of display light, white at 203 cd/m² (ITU-R BT.2408)."""
    light = (frames / 255.0) ** 2.2 * 203 / 10_000
    power = light**0.1593017578125
    signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    return np.round(255 * signal).astype(np.uint8)


@pytest.fixture(scope="module")
def face(real_data):
    """A talking head (20, 256, 256, 3), whose face is about 110 pixels wide."""
    path = real_data / "videos" / "talking_head_greenscreen_01.mp4"
    frames = (frame for frame, _ in zip(iter_frames(path), range(NUM_FRAMES)))  # noqa: B905
    return resize(list(frames), SIDE, SIDE)


@pytest.fixture(scope="module")
def videos(tmp_path_factory, face, write_browser_webm):
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "plain.mp4", face)
    write_video(folder / "mirrored.mp4", face)
    mirror(folder / "mirrored.mp4", -1, 1)
    write_video(folder / "upside_down.mp4", face[:, ::-1])
    mirror(folder / "upside_down.mp4", 1, -1)
    for name, ratio in RATIOS.items():
        width = 2 * round(SIDE / Fraction(*ratio) / 2)
        squeezed = resize(face, width, SIDE)
        encode(folder / f"{name}.mp4", squeezed, ratio=Fraction(*ratio))
    large = np.concatenate([face, face[::-1], face[:10]])[:, :220, 18:238]
    ramp = [*resize(large[:10], 40, 40), *resize(large, 320, 320)]
    write_browser_webm(folder / "ramp.webm", ramp, range(0, 60 * 33, 33))
    stamps = [round(1000 * index / 30.2) for index in range(NUM_FRAMES)]
    write_browser_webm(folder / "stamps.webm", face, stamps)
    options = {"x265-params": "transfer=smpte2084:log-level=none"}
    encode(folder / "hdr.mp4", to_pq(face), "libx265", "yuv420p10le", options=options)
    return folder


@pytest.fixture(scope="module")
def store(videos, tmp_path_factory):
    path = tmp_path_factory.mktemp("prepared") / "store"
    prepare_videos(videos, path, num_workers=0, detector="hog")
    return path


@pytest.fixture(scope="module")
def tracks(store):
    return {track.source: track for track in FaceStore(store)}


def reason(store, source):
    report = json.loads((store / "report.json").read_text(encoding="utf-8"))
    (entry,) = (video for video in report["videos"] if video["source"] == source)
    assert entry["status"] == "ok"
    return entry["reason"]


def alike(one, other):
    """Correlation of the crops of two tracks, or of arrays of them."""
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def test_every_recording_has_one_track(videos, tracks):
    assert set(tracks) == {path.name for path in videos.iterdir()}


def test_a_mirrored_talking_head(tracks):
    plain, mirrored = tracks["plain.mp4"].frames, tracks["mirrored.mp4"].frames
    assert alike(mirrored, plain[:, :, ::-1]) > 0.95
    assert alike(mirrored, plain) < 0.9


def test_a_talking_head_that_was_recorded_upside_down(tracks):
    plain, turned = tracks["plain.mp4"].frames, tracks["upside_down.mp4"].frames
    assert alike(turned, plain) > 0.98


def shape_of(track):
    """Ratio of the distance of the outer eyes to that of eyes and chin."""
    points = track.read_landmarks(range(track.num_frames), in_source=True)
    eyes, chin = points[:, [36, 45]], points[:, 8]
    wide = np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=-1)
    high = np.linalg.norm(eyes.mean(axis=1) - chin, axis=-1)
    return float(np.mean(wide / high))


@pytest.mark.parametrize("name", RATIOS)
def test_faces_keep_their_shape_whatever_that_of_a_pixel(name, tracks):
    expected = shape_of(tracks["plain.mp4"])
    assert shape_of(tracks[f"{name}.mp4"]) == pytest.approx(expected, rel=0.03)


def test_a_call_whose_resolution_grows(store, tracks):
    row = tracks["ramp.webm"].row
    assert (row.start_frame, row.num_frames) == (10, 50)
    assert 130 < row.face_width < 190
    assert (row.width, row.height) == (320, 320)
    note = "the size of its frames changes 1 times (40x40, 320x320 pixels)"
    assert reason(store, "ramp.webm") == note


def test_a_browser_that_writes_no_frame_rate(store, tracks):
    track = tracks["stamps.webm"]
    assert track.fps == pytest.approx(30.2, rel=0.01)
    assert reason(store, "stamps.webm") is None
    with VideoReader(store / track.row.video) as reader:
        assert reader.fps == pytest.approx(track.fps, rel=1e-3)
        assert sum(1 for _ in reader) == NUM_FRAMES
        assert reader.seconds[-1] == pytest.approx((NUM_FRAMES - 1) / 30.2, rel=0.01)


def test_faces_of_high_dynamic_range(store, tracks):
    assert reason(store, "hdr.mp4") == "its colours are HDR (PQ), not tone-mapped"
    boxes = [tracks[name].boxes for name in ("hdr.mp4", "plain.mp4")]
    np.testing.assert_allclose(*boxes, atol=8)


def test_a_phone_that_is_turned_while_it_records(tmp_path, face):
    """Portrait, then landscape, in one stream: both faces keep their shape."""
    parts = []
    for name, margin in (("portrait", (0, 96)), ("landscape", (96, 0))):
        high, wide = margin
        frames = np.pad(face, ((0, 0), (0, wide), (0, high), (0, 0)))
        write_video(tmp_path / f"{name}.mpg", frames, codec="mpeg1video")
        parts.append((tmp_path / f"{name}.mpg").read_bytes())
    (tmp_path / "turned.mpg").write_bytes(b"".join(parts))
    options = {"num_workers": 0, "detector": "hog", "all_faces": True}
    prepare_videos(tmp_path / "turned.mpg", tmp_path / "store", **options)
    store = FaceStore(tmp_path / "store")
    sizes = [(track.row.width, track.row.height) for track in store]
    assert sizes == [(256, 352), (352, 256)]
    assert shape_of(store[0]) == pytest.approx(shape_of(store[1]), rel=0.03)
    assert "changes 1 times (256x352, 352x256" in reason(store.path, "turned.mpg")
