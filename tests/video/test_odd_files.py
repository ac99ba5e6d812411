"""Videos that a standard does not forbid, or that somebody has nevertheless."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from fractions import Fraction

import av
import numpy as np
import pytest

from lightly_marlin.video import VideoError, VideoReader, iter_frames, write_video


def read_both(path):
    """Frames of both passes over a file, and the number of skipped packets of each."""
    with VideoReader(path) as reader:
        frames = list(reader.frames())
        first = (reader.num_frames, reader.num_skipped)
    with VideoReader(path) as reader:
        planes = list(reader.planes())
        assert (reader.num_frames, reader.num_skipped) == first
    assert [frame.shape[:2] for frame in frames] == [plane.shape for plane in planes]
    return frames


def encode(path, frames, codec="libx264", pixel_format="yuv420p", **more):
    """Writes frames; `more`: container, options, and times in milliseconds."""
    # Short clusters, so that a reader can go on after a damaged one.
    short = {"cluster_time_limit": "300"}
    with av.open(
        str(path), "w", format=more.get("container"), container_options=short
    ) as container:
        stream = container.add_stream(codec, rate=25, options=more.get("options", {}))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.codec_context.thread_count = pixel_format, 1
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if "times" in more:
                stream.codec_context.time_base = picture.time_base = Fraction(1, 1000)
                picture.pts = more["times"][index]
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def remux(source, target, change):
    """Copies packets; `change(index, packet)` returns those to write in its place."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.size]
        for index, packet in enumerate(packets):
            for changed in change(index, packet):
                changed.stream, changed.time_base = stream, packet.time_base
                new.mux(changed)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "more"),
    [
        ("alpha.mov", "qtrle", "argb", {}),
        ("alpha.webm", "libvpx-vp9", "yuva420p", {}),
        ("studio.mov", "prores_ks", "yuva444p10le", {}),
        ("av1.mp4", "libsvtav1", "yuv420p", {}),
        ("av1_10_bit.mkv", "libsvtav1", "yuv420p10le", {}),
        ("interlaced.mpg", "mpeg2video", "yuv420p", {"flags": "+ildct+ilme"}),
        ("interlaced.mp4", "libx264", "yuv420p", {"x264-params": "tff=1"}),
        ("old.wmv", "wmv2", "yuv420p", {}),
        ("old.flv", "flv", "yuv420p", {}),
        ("stream.ts", "libx264", "yuv422p10le", {}),
        ("web.webm", "libvpx", "yuv420p", {}),
        ("planes.mkv", "ffv1", "gbrp10le", {}),
    ],
)
def test_formats(tmp_path, make_frames, name, codec, pixel_format, more):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    frames = make_frames(12)
    encode(tmp_path / name, frames, codec, pixel_format, options=more)
    decoded = np.stack(read_both(tmp_path / name))
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).mean() < 12


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [("a.h264", "libx264", "h264"), ("a.hevc", "libx265", "hevc")],
)
def test_streams_without_container_and_frame_count(
    tmp_path, make_frames, name, codec, container
):
    encode(tmp_path / name, make_frames(12), codec, container=container)
    with av.open(str(tmp_path / name)) as file:
        assert file.streams.video[0].frames == 0
    assert len(read_both(tmp_path / name)) == 12


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 9)])
def test_tiny_and_odd_sizes(tmp_path, make_frames, size):
    encode(tmp_path / "a.mkv", make_frames(3, *size), "ffv1", "yuv444p")
    assert [frame.shape for frame in read_both(tmp_path / "a.mkv")] == [(*size, 3)] * 3


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_frame_rate_keeps_every_frame(tmp_path, make_frames, name):
    times = np.cumsum(np.random.default_rng(0).integers(10, 400, 30)).tolist()
    encode(tmp_path / name, make_frames(30), times=times)
    assert len(read_both(tmp_path / name)) == 30


def jumping(kind, step):
    """Returns a change of time stamps for `remux`, with `step` ticks a frame."""

    def change(index, packet):
        late = index >= 10
        if kind == "missing":
            packet.pts = packet.dts = None
        else:
            ticks = {"forward": 90_000, "gap": 60, "negative": 0}[kind] * late
            start = 100 if kind == "negative" else 0
            packet.pts = packet.dts = step * (index + ticks - start)
        return [packet]

    return change


@pytest.mark.parametrize("kind", ["missing", "forward", "gap", "negative"])
@pytest.mark.parametrize("suffix", ["ts", "mkv", "nut", "flv"])
def test_time_stamps_that_jump(tmp_path, make_frames, kind, suffix):
    encode(tmp_path / "plain.ts", make_frames(20), options={"bf": "0"})
    path = tmp_path / f"a.{suffix}"
    remux(tmp_path / "plain.ts", path, jumping(kind, 3600))
    assert len(read_both(path)) == 20


def test_time_stamps_that_jump_back(tmp_path, make_frames):
    """Recordings that were joined byte by byte start again at zero."""
    encode(tmp_path / "part.ts", make_frames(20))
    part = (tmp_path / "part.ts").read_bytes()
    (tmp_path / "joined.ts").write_bytes(part * 3)
    assert len(read_both(tmp_path / "joined.ts")) == 60


def test_empty_packet_in_the_middle_is_not_the_end(tmp_path, make_frames):
    def change(index, packet):
        packet.pts = packet.dts = 3600 * (index + (index > 10))
        if index != 10:
            return [packet]
        empty = av.Packet(b"")
        empty.pts = empty.dts = 3600 * 11
        return [packet, empty]

    encode(tmp_path / "plain.ts", make_frames(20), options={"bf": "0"})
    remux(tmp_path / "plain.ts", tmp_path / "a.nut", change)
    assert len(read_both(tmp_path / "a.nut")) == 20


@pytest.mark.parametrize(("name", "flagged"), [("a.mp4", True), ("a.mkv", False)])
def test_cover_picture_first(tmp_path, make_frames, name, flagged):
    """Flagged as what it is, or a stream of one frame that only looks like a film."""
    frames = make_frames(12)
    with av.open(str(tmp_path / name), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        if flagged:
            cover.disposition = av.stream.Disposition.attached_pic
        film = container.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = 128, 96, "yuv420p"
        picture = np.zeros((64, 64, 3), np.uint8)
        container.mux(cover.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for frame in frames:
            container.mux(film.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(film.encode())
    assert np.stack(read_both(tmp_path / name)).shape == frames.shape


def test_first_of_two_equal_streams(tmp_path, make_frames):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams = []
        for level in (50, 200):
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
            streams.append((stream, np.full((96, 128, 3), level, np.uint8)))
        for _ in range(10):
            for stream, frame in streams:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        for stream, _ in streams:
            container.mux(stream.encode())
    frames = np.stack(read_both(tmp_path / "a.mkv"))
    assert len(frames) == 10
    assert abs(frames.mean() - 50) < 5


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
    ],
)
def test_one_frame(tmp_path, make_frames, name, codec, pixel_format):
    encode(tmp_path / name, make_frames(1), codec, pixel_format)
    assert len(read_both(tmp_path / name)) == 1


@pytest.mark.parametrize("change", ["size", "pixel format"])
def test_stream_that_changes_midway(tmp_path, make_frames, change):
    second = (96, 128, "yuv420p") if change == "size" else (64, 96, "yuv444p")
    data = b""
    for height, width, pixel_format in ((64, 96, "yuv420p"), second):
        frames = make_frames(10, height, width)
        encode(tmp_path / "p", frames, "libx264", pixel_format, container="h264")
        data += (tmp_path / "p").read_bytes()
    (tmp_path / "a.h264").write_bytes(data)
    frames = read_both(tmp_path / "a.h264")
    shapes = [(64, 96, 3)] * 10 + [(*second[:2], 3)] * 10
    assert [frame.shape for frame in frames] == shapes


DAMAGED = [
    ("a.mp4", "libx264", "yuv420p"),
    ("a.mkv", "libx264", "yuv420p"),
    ("a.ts", "libx264", "yuv420p"),
    ("a.webm", "libvpx-vp9", "yuv420p"),
    ("a.mpg", "mpeg2video", "yuv420p"),
    ("a.avi", "mjpeg", "yuvj420p"),
]


@pytest.mark.parametrize("how", ["zeros", "noise"])
@pytest.mark.parametrize(("name", "codec", "pixel_format"), DAMAGED)
def test_damage_in_the_middle(tmp_path, make_frames, name, codec, pixel_format, how):
    """What decodes is kept, the same in both passes; the end of the film is reached."""
    frames = make_frames(60)
    frames[45:] //= 3
    path = tmp_path / name
    encode(path, frames, codec, pixel_format, options={"g": "6"})
    data = np.fromfile(path, np.uint8)
    first, last = len(data) * 45 // 100, len(data) * 55 // 100
    noise = np.random.default_rng(0).integers(0, 256, last - first, dtype=np.uint8)
    data[first:last] = noise if how == "noise" else 0
    data.tofile(path)
    decoded = read_both(path)
    assert 30 <= len(decoded) <= 60
    assert decoded[-1].mean() < 0.6 * decoded[0].mean()


def test_frames_larger_than_any_screen(tmp_path, make_frames, monkeypatch):
    """By the first header, or by one in the middle."""
    for name, size in (("small", (64, 96)), ("large", (96, 128))):
        frames = make_frames(10, *size)
        encode(tmp_path / f"{name}.h264", frames, "libx264", container="h264")
    small = (tmp_path / "small.h264").read_bytes()
    large = (tmp_path / "large.h264").read_bytes()
    (tmp_path / "both.h264").write_bytes(small + large)
    monkeypatch.setattr("lightly_marlin.video.reader._MAX_PIXELS", 10_000)
    with pytest.raises(VideoError, match="its frames of 128x96 pixels are larger"):
        VideoReader(tmp_path / "large.h264")
    with VideoReader(tmp_path / "both.h264") as reader:
        assert sum(1 for _ in reader) == 10
    assert reader.num_skipped > 0


PEAK = """
import sys
from lightly_marlin.video.reader import VideoError, VideoReader

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if "VmHWM" in line) / 1024

with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = peak()
try:
    with VideoReader(sys.argv[1]) as reader:
        next(reader.planes())
except VideoError as error:
    print(peak() - before, error)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="Linux only")
def test_decompression_bomb_takes_no_memory(tmp_path):
    """750 bytes a frame that become 384 MB each."""
    size, path = 16_000, tmp_path / "bomb.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width = stream.height = size
        stream.pix_fmt, stream.codec_context.thread_count = "yuvj420p", 1
        frame = av.VideoFrame(size, size, "yuvj420p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    del frame
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PEAK), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    grown, _, text = done.stdout.partition(" ")
    assert float(grown) < 60
    assert "no frame can be decoded" in text or "are larger than" in text


@pytest.fixture
def alarm():
    """Ends a test that hangs where a thread could not."""

    def ring(number, frame):
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop"])
def test_what_only_has_the_name_of_a_video(tmp_path, alarm, kind):
    path = tmp_path / "a.mp4"
    {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "loop": lambda: path.symlink_to(path),
    }[kind]()
    reason = "symbolic links" if kind == "loop" else r"a\.mp4: is no regular file"
    with pytest.raises(VideoError, match=reason):
        VideoReader(path)


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/dev/zero\n",
        "#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n",
        "ffconcat version 1.0\nfile other.mp4\n",
        "ffconcat version 1.0\nfile /dev/zero\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    ],
)
def test_playlists_open_no_other_file(tmp_path, make_frames, alarm, content):
    write_video(tmp_path / "other.mp4", make_frames(3))
    (tmp_path / "list.mp4").write_text(content)
    with pytest.raises(VideoError, match=r"list\.mp4: "):
        list(iter_frames(tmp_path / "list.mp4"))


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="needs root, which then gives its rights away",
)
def test_video_that_may_not_be_read(tmp_path, make_frames):
    write_video(tmp_path / "a.mp4", make_frames(3))
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    (tmp_path / "a.mp4").chmod(0)
    code = "import sys; from lightly_marlin.video import VideoReader\n"
    code += "try: VideoReader(sys.argv[1])\nexcept ValueError as error: print(error)"
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*drop, sys.executable, "-c", code, str(tmp_path / "a.mp4")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("the environment itself may not be read by others")
    assert done.stdout.endswith("a.mp4: cannot be opened: Permission denied\n")


@pytest.mark.parametrize(
    ("transfer", "primaries", "name"),
    [("smpte2084", "bt2020", "PQ"), ("arib-std-b67", "bt2020", "HLG")],
)
def test_colours_of_high_dynamic_range_are_named(
    tmp_path, make_frames, transfer, primaries, name
):
    """10-bit HEVC as phones record it: read like any other, and the report says so."""
    options = {
        "x265-params": f"colorprim={primaries}:transfer={transfer}"
        ":colormatrix=bt2020nc:log-level=none"
    }
    frames = make_frames(5)
    encode(tmp_path / "a.mp4", frames, "libx265", "yuv420p10le", options=options)
    decoded = np.stack(read_both(tmp_path / "a.mp4"))
    assert decoded.shape == frames.shape
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert reader.notes == []
        next(reader.planes())
        assert reader.notes == [f"its colours are HDR ({name}), not tone-mapped"]
