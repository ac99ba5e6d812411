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
