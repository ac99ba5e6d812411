import av
import numpy as np
import pytest

from lightly_marlin.video import VideoError, VideoReader, iter_frames, write_video


def read(path):
    return np.stack(list(iter_frames(path)))


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "size"),
    [
        ("plain.mp4", "libx264", "yuv420p", (96, 128)),
        ("odd.mkv", "ffv1", "yuv444p", (97, 131)),
        ("odd.mp4", "libx264", "yuv444p", (97, 131)),
        ("ten_bit.mkv", "libx265", "yuv420p10le", (96, 128)),
        ("422.mp4", "libx264", "yuv422p", (96, 128)),
        ("old.mpg", "mpeg1video", "yuv420p", (96, 128)),
        ("web.webm", "libvpx-vp9", "yuv420p", (96, 128)),
        ("still.avi", "mjpeg", "yuvj420p", (96, 128)),
    ],
)
def test_iter_frames_formats(tmp_path, make_frames, name, codec, pixel_format, size):
    frames = make_frames(8, *size)
    write_video(tmp_path / name, frames, codec=codec, pixel_format=pixel_format)
    decoded = read(tmp_path / name)
    assert decoded.dtype == np.uint8
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).mean() < 12


def test_iter_frames_grey(tmp_path, make_frames):
    frames = make_frames(5)
    write_video(tmp_path / "grey.mkv", frames, codec="ffv1", pixel_format="gray")
    decoded = read(tmp_path / "grey.mkv")
    assert decoded.shape == frames.shape
    assert (decoded[..., :1] == decoded).all()


def test_iter_frames_gif(tmp_path, make_frames):
    write_video(tmp_path / "a.gif", make_frames(6), codec="gif", pixel_format="rgb8")
    assert read(tmp_path / "a.gif").shape == (6, 96, 128, 3)


def write_turned(path, degrees):
    """Writes a video with a rotation in its metadata; returns a frame before it."""
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:32, :48] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.set_display_rotation(degrees)
        for _ in range(3):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return frame


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_iter_frames_rotation(tmp_path, degrees):
    path = tmp_path / "phone.mp4"
    frame = write_turned(path, degrees)
    # Display matrices of phones: 90 means a quarter turn counter-clockwise.
    expected = np.rot90(frame, degrees // 90)
    decoded = read(path)
    assert decoded.shape[1:] == expected.shape
    assert np.abs(decoded[1].astype(int) - expected).mean() < 5


LUMA = np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("plain.mp4", "libx264", "yuv420p"),
        ("still.avi", "mjpeg", "yuvj420p"),
        ("ten_bit.mkv", "libx265", "yuv420p10le"),
        ("422.mp4", "libx264", "yuv422p"),
        ("semi.mkv", "rawvideo", "nv12"),
        ("packed.mkv", "rawvideo", "yuyv422"),
        ("grey.mkv", "ffv1", "gray"),
        ("colours.mkv", "ffv1", "bgr0"),
        ("palette.gif", "gif", "rgb8"),
    ],
)
def test_planes_are_the_luma_of_the_frames(
    tmp_path, make_frames, name, codec, pixel_format
):
    path = tmp_path / name
    write_video(path, make_frames(6, 62, 98), codec=codec, pixel_format=pixel_format)
    with VideoReader(path) as reader:
        planes = np.stack(list(reader.planes()))
    frames = read(path)
    assert planes.shape == frames.shape[:3]
    # The range of the source may be kept: black at 16, white at 235.
    expected = (frames @ LUMA).ravel()
    slope, _ = np.polyfit(expected, planes.ravel(), 1)
    assert 0.83 < slope < 1.05
    assert np.corrcoef(expected, planes.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_planes_are_turned_like_the_frames(tmp_path, degrees):
    path = tmp_path / "phone.mp4"
    write_turned(path, degrees)
    with VideoReader(path) as reader:
        plane = next(reader.planes())
    frame = read(path)[0]
    assert plane.shape == frame.shape[:2]
    assert np.corrcoef(plane.ravel(), frame[..., 1].ravel())[0, 1] > 0.99


def test_planes_of_a_stream_that_changes_its_size(tmp_path, make_frames):
    path = tmp_path / "sizes.mpg"
    parts = []
    for size in ((64, 96), (96, 128)):
        part = tmp_path / f"{size[0]}.mpg"
        write_video(part, make_frames(8, *size), codec="mpeg1video")
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    with VideoReader(path) as reader:
        shapes = [plane.shape for plane in reader.planes()]
    assert sorted(set(shapes)) == [(64, 96), (96, 128)]
    assert sorted(shapes) == shapes
    assert reader.num_frames > 8
    note = "the size of its frames changes 1 times (96x64, 128x96 pixels)"
    assert reader.notes == [note]


def add_silence(container):
    stream = container.add_stream("aac", rate=16000)
    stream.layout = "mono"
    sound = av.AudioFrame(format="fltp", layout="mono", samples=1024)
    sound.sample_rate, sound.pts = 16000, 0
    sound.planes[0].update(np.zeros(1024, np.float32).tobytes())
    yield
    container.mux(stream.encode(sound))
    container.mux(stream.encode())


def write_with_audio_first(path, frames):
    with av.open(str(path), "w") as container:
        audio = add_silence(container)
        next(audio)
        video = container.add_stream("libx264", rate=25)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuv420p"
        next(audio, None)
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode())


def test_iter_frames_audio_first(tmp_path, make_frames):
    frames = make_frames(7)
    write_with_audio_first(tmp_path / "a.mp4", frames)
    assert read(tmp_path / "a.mp4").shape == frames.shape


def test_video_reader_no_video_stream(tmp_path):
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        for _ in add_silence(container):
            pass
    with pytest.raises(VideoError, match=r"song\.mp4: has no video stream"):
        VideoReader(tmp_path / "song.mp4")


def test_video_reader_zero_frames(tmp_path):
    with av.open(str(tmp_path / "zero.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
    with pytest.raises(VideoError, match="it ends before its first frame"):
        list(iter_frames(tmp_path / "zero.mkv"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "the file is empty"), (b"hello\n" * 99, "cannot be opened: not a video")],
)
def test_video_reader_garbage(tmp_path, content, reason):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=reason) as caught:
        VideoReader(path)
    assert caught.value.path == str(path)


def test_video_reader_missing(tmp_path):
    with pytest.raises(VideoError, match="No such file"):
        VideoReader(tmp_path / "nowhere.mp4")


def test_iter_frames_truncated(tmp_path, make_frames):
    path = tmp_path / "a.mpg"
    write_video(path, make_frames(60), codec="mpeg1video")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 10 < len(read(path)) < 55


def test_video_reader_damaged_middle(tmp_path, make_frames):
    path = tmp_path / "a.avi"
    write_video(path, make_frames(40), codec="mjpeg", pixel_format="yuvj420p")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        first, last = packets[10].pos + 8, packets[13].pos
    data[first:last] = bytes(last - first)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        count = sum(1 for _ in reader)
    assert 30 <= count < 40
    assert reader.num_frames == count
    assert reader.num_skipped > 0


def test_video_reader_frames_range(tmp_path, make_frames):
    frames = make_frames(12)
    write_video(tmp_path / "a.mp4", frames)
    everything = read(tmp_path / "a.mp4")
    with VideoReader(tmp_path / "a.mp4") as reader:
        some = np.stack(list(reader.frames(3, 9)))
    assert (some == everything[3:9]).all()


def test_frames_of_a_stream_that_grows(tmp_path, make_frames, write_browser_webm):
    """As in a call whose bandwidth grows: no frame loses its resolution."""
    frames = [*make_frames(10, 40, 40), *make_frames(20, 320, 320)]
    path = write_browser_webm(tmp_path / "a.webm", frames, range(0, 990, 33))
    assert [frame.shape for frame in iter_frames(path)] == [f.shape for f in frames]


def test_frame_rate_that_is_only_a_time_base(tmp_path, make_frames, write_browser_webm):
    """Stamps average 30.2 frames a second; the header says 1000."""
    stamps = [round(1000 * i / 30.2) for i in range(90)]
    path = write_browser_webm(tmp_path / "a.webm", make_frames(90, 64, 64), stamps)
    with VideoReader(path) as reader:
        assert reader.fps == 1000
        list(reader.planes())
    assert reader.fps == pytest.approx(30.2, rel=1e-3)
    assert reader.seconds[-1] == pytest.approx(stamps[-1] / 1000)


def test_video_reader_fps(tmp_path, make_frames):
    write_video(tmp_path / "a.mp4", make_frames(12), fps=29.97)
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert reader.fps == pytest.approx(29.97, abs=1e-3)


@pytest.mark.parametrize("name", ["new\nline 1.mp4", "ж 脸 é.mp4", "a:b%03d#?.mp4"])
def test_iter_frames_names(tmp_path, make_frames, name):
    write_video(tmp_path / "a.mp4", make_frames(4))
    (tmp_path / "a.mp4").rename(tmp_path / name)
    assert len(read(tmp_path / name)) == 4


def test_iter_frames_name_that_is_no_unicode(tmp_path, make_frames):
    write_video(tmp_path / "a.mp4", make_frames(4))
    path = (tmp_path / "a.mp4").rename(tmp_path / "\udcff\udcfe.mp4")
    assert len(read(path)) == 4


@pytest.mark.real_data
def test_video_reader_real(real_videos):
    with VideoReader(real_videos / "face_then_no_face_01.mov") as reader:
        shapes = {frame.shape for frame in reader}
    assert shapes == {(540, 960, 3)}
    assert reader.num_frames == 169
    assert reader.num_skipped == 0


def test_lazy_frames_are_the_frames(tmp_path, make_frames):
    write_video(tmp_path / "a.mp4", make_frames(12))
    with VideoReader(tmp_path / "a.mp4") as reader:
        some = [
            convert() for i, convert in enumerate(reader.lazy_frames(3, 9)) if i % 2
        ]
        assert reader.num_frames == 9
    assert np.array_equal(some, read(tmp_path / "a.mp4")[[4, 6, 8]])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_seconds(tmp_path, make_frames, name):
    write_video(tmp_path / name, make_frames(10), fps=30.0)
    with VideoReader(tmp_path / name) as reader:
        assert len(reader.seconds) == 0
        assert sum(1 for _ in reader) == 10
    np.testing.assert_array_equal(reader.seconds, np.arange(10) / 30)
