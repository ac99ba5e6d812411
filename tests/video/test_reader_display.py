"""Pictures come as players show them: mirrored, turned, with square pixels."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from lightly_marlin.video import VideoReader, write_video

SIZE = (64, 96)
MATRICES = {
    "top right": (-1, 0, 0, 1),
    "bottom left": (1, 0, 0, -1),
    "top left": (0, 1, 1, 0),
    "bottom right": (0, -1, -1, 0),
}


def quarter():
    """A frame whose upper left quarter is white."""
    frame = np.zeros((*SIZE, 3), np.uint8)
    frame[:32, :48] = 255
    return frame


def bright_corner(image):
    grey = image if image.ndim == 2 else image[..., 1]
    height, width = grey.shape
    halves = [slice(None, height // 2), slice(height // 2, None)]
    sides = [slice(None, width // 2), slice(width // 2, None)]
    means = {
        f"{row} {column}": grey[rows, columns].mean()
        for row, rows in zip(("top", "bottom"), halves, strict=True)
        for column, columns in zip(("left", "right"), sides, strict=True)
    }
    bright = [name for name, mean in means.items() if mean > 128]
    assert len(bright) == 1
    return bright[0]


def write_with_matrix(folder, numbers, suffix):
    """Writes an MP4 whose track header holds a matrix, remuxed for other containers."""
    path = folder / "a.mp4"
    write_video(path, [quarter()] * 5)
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    a, b, c, d = (number << 16 for number in numbers)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    if suffix == "mp4":
        return path
    other = folder / f"a.{suffix}"
    with av.open(str(path)) as source, av.open(str(other), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return other


def both(path):
    """The second frame and the second luma plane of a video."""
    with VideoReader(path) as reader:
        frame = list(reader)[1]
    with VideoReader(path) as reader:
        plane = list(reader.planes())[1]
    return frame, plane


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("corner", MATRICES)
def test_mirrored_display_matrix(tmp_path, corner, suffix):
    frame, plane = both(write_with_matrix(tmp_path, MATRICES[corner], suffix))
    assert bright_corner(frame) == bright_corner(plane) == corner
    transposed = corner in ("top left", "bottom right")
    assert frame.shape[:2] == plane.shape == (SIZE[::-1] if transposed else SIZE)


@pytest.mark.parametrize(
    ("name", "codec", "ratio", "shape"),
    [
        ("a.mp4", "libx264", (2, 1), (64, 192)),
        ("a.mkv", "libx264", (1, 2), (128, 96)),
        ("dvd.vob", "mpeg2video", (64, 45), (144, 256)),
        ("dv_like.avi", "mpeg4", (8, 9), (72, 96)),
        ("phone.3gp", "h263", (12, 11), (96, 140)),
        ("dvr.ts", "libx264", (4, 3), (64, 128)),
        ("square.mov", "libx264", (1, 1), (64, 96)),
        ("absurd.mp4", "libx264", (1000, 1), (64, 96)),
    ],
)
def test_pixels_become_square(tmp_path, name, codec, ratio, shape):
    path = tmp_path / name
    # H.263 only has some sizes, MPEG-2 only some shapes of the whole frame.
    height, width = {"h263": (96, 128), "mpeg2video": (144, 180)}.get(codec, SIZE)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(*ratio)
        stream.sample_aspect_ratio = Fraction(*ratio)
        grey = np.full((height, width, 3), 90, np.uint8)
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey)))
        container.mux(stream.encode())
    frame, plane = both(path)
    assert frame.shape[:2] == plane.shape == shape
    # Resizing luma keeps its range: 90 in RGB is about 93 of 16 to 235.
    assert abs(float(plane.mean()) - 93) < 4


def write_shaped(path, ratio, num_frames=5, codec="libx264", size=SIZE, **options):
    """Writes grey frames whose codec says what shape a pixel has."""
    height, width = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if ratio is not None:
            stream.codec_context.sample_aspect_ratio = Fraction(*ratio)
        grey = np.full((height, width, 3), 90, np.uint8)
        for _ in range(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey)))
        container.mux(stream.encode())
    return path


def shapes(path):
    with VideoReader(path) as reader:
        found = [plane.shape for plane in reader.planes()]
    return found, reader.notes


@pytest.mark.parametrize(
    ("codec", "container", "shape"),
    [
        ((2, 1), (4, 3), (64, 128)),
        ((2, 1), (1, 1), (64, 96)),
        ((1, 1), (2, 1), (64, 192)),
        # Nonsense says nothing.
        ((2, 1), (0, 1), (64, 192)),
        ((2, 1), (1, 0), (64, 192)),
    ],
)
def test_the_container_knows_the_shape_of_a_pixel_better(
    tmp_path, codec, container, shape
):
    path = write_shaped(tmp_path / "a.mp4", codec)
    data = bytearray(path.read_bytes())
    place = data.index(b"pasp") + 4
    data[place : place + 8] = struct.pack(">2I", *container)
    path.write_bytes(data)
    assert shapes(path) == ([shape] * 5, [])


def test_a_track_that_is_wider_than_its_pictures(tmp_path):
    """QuickTime says the shape of a pixel by the size of the track alone, too."""
    path = write_shaped(tmp_path / "a.mp4", None)
    data = bytearray(path.read_bytes())
    assert b"pasp" not in data
    place = data.index(b"tkhd") + 80
    data[place : place + 4] = struct.pack(">I", 192 << 16)
    path.write_bytes(data)
    assert shapes(path) == ([(64, 192)] * 5, [])


@pytest.mark.parametrize(
    ("ratio", "shape"), [((16, 15), (576, 768)), ((64, 45), (576, 1024))]
)
def test_digital_video_tapes(tmp_path, ratio, shape):
    path = write_shaped(tmp_path / "a.dv", ratio, 3, "dvvideo", (576, 720))
    assert shapes(path) == ([shape] * 3, [])


def test_broadcast_that_switches_the_shape_of_its_pixels(tmp_path):
    """Between films and advertisements; the pictures are coded at one size."""
    parts = [
        write_shaped(tmp_path / f"{index}.ts", ratio, 12, bf="2").read_bytes()
        for index, ratio in enumerate(((1, 1), (64, 45), (1, 1)))
    ]
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    found, notes = shapes(tmp_path / "joined.ts")
    assert found == [(64, 96)] * 12 + [(64, 137)] * 12 + [(64, 96)] * 12
    assert notes == ["the size of its frames changes 2 times (96x64, 137x64 pixels)"]


@pytest.mark.parametrize("degrees", [90, -90])
def test_wide_pixels_of_a_picture_on_its_side(tmp_path, degrees):
    """The shape belongs to the pixel as it is coded, before the picture is turned."""
    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        stream.set_display_rotation(degrees)
        for _ in range(3):
            picture = av.VideoFrame.from_ndarray(quarter(), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    frame, plane = both(tmp_path / "a.mov")
    assert frame.shape[:2] == plane.shape == (192, 64)
    corner = {90: "bottom left", -90: "top right"}[degrees]
    assert bright_corner(frame) == bright_corner(plane) == corner
