import io

import numpy as np
import pytest
from PIL import Image

from lightly_marlin.store.crop_video import CropVideoWriter, read_crops
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import VideoReader


@pytest.fixture
def written(tmp_path, make_frames):
    crops = make_frames(10, 224, 224)
    with CropVideoWriter(tmp_path / "a.mov", 224, 30000 / 1001) as writer:
        for crop in crops:
            writer.write(crop)
        table = writer.close()
    return tmp_path / "a.mov", table, crops


def test_crop_video_round_trip(written):
    path, table, crops = written
    video = read_crops(path, table, 224)
    assert video.dtype == np.uint8
    assert video.shape == (3, 10, 224, 224)
    assert np.abs(video.transpose(1, 2, 3, 0).astype(int) - crops).mean() < 2.5


def test_crop_video_frames_are_plain_jpegs(written):
    path, table, crops = written
    data = path.read_bytes()
    for (offset, size), crop in zip(table, crops, strict=True):
        image = Image.open(io.BytesIO(data[offset : offset + size]))
        assert np.abs(np.asarray(image).astype(int) - crop).mean() < 2.5


def test_crop_video_colours(tmp_path):
    """Range and matrix of the colours survive the way there and back."""
    colours = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)]
    with CropVideoWriter(tmp_path / "a.mov", 224, 25) as writer:
        for colour in colours:
            writer.write(np.full((224, 224, 3), colour, np.uint8))
        table = writer.close()
    video = read_crops(tmp_path / "a.mov", table, 224)
    decoded = video[:, :, 100, 100].T.astype(int)
    assert np.abs(decoded - colours).max() <= 3


def test_crop_video_plays(written):
    with VideoReader(written[0]) as reader:
        assert len(list(reader)) == 10
        assert reader.fps == pytest.approx(30000 / 1001)


def test_read_crops_some(written):
    path, table, _ = written
    everything = read_crops(path, table, 224)
    assert (read_crops(path, table[2:9:3], 224) == everything[:, 2:9:3]).all()
    assert read_crops(path, table[:0], 224).shape == (3, 0, 224, 224)


def test_read_crops_damaged(written):
    path, table, _ = written
    data = bytearray(path.read_bytes())
    offset, size = table[4]
    data[offset : offset + size] = bytes(size)
    path.write_bytes(data)
    with pytest.raises(UsageError, match=f"damaged at byte {offset}"):
        read_crops(path, table[4:5], 224)
    with pytest.raises(UsageError, match="damaged at byte"):
        read_crops(path, np.array([[10**9, 500]]), 224)
    # A damaged picture does not spoil the next one.
    assert read_crops(path, table[5:], 224).any()


def test_read_crops_other_size(written):
    with pytest.raises(UsageError, match="damaged"):
        read_crops(written[0], written[1][:1], 112)
