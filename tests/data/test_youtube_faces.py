import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.data import YouTubeFaces
from lightly_marlin.utils.errors import UsageError


@pytest.fixture
def root(tmp_path):
    """Two sequences; the grey level of a crop and a label tell its frame number."""
    for name, length in (("ann/0", 40), ("bob/1", 12)):
        crops = tmp_path / "crop_images_DB" / name
        parses = tmp_path / "face_parsing_images_DB" / name
        crops.mkdir(parents=True)
        parses.mkdir(parents=True)
        for number in range(1, length + 1):
            image = np.full((224, 224, 3), 5 * number, np.uint8)
            Image.fromarray(image).save(crops / f"{number}.jpg", quality=95)
            parse = np.zeros((2, 224, 224), np.int64)
            parse[0] = number % 11
            np.save(parses / f"{number}.npy", parse[: 0 if number == 3 else 2])
    for split in ("train", "val"):
        (tmp_path / f"{split}_set.csv").write_text("path,len\nann/0,40\nbob/1,12\n")
    (tmp_path / "face_parsing_images_DB" / "ann/0" / "5.npy").unlink()
    return tmp_path


def test_youtube_faces_item(root):
    clips = YouTubeFaces(root, start="first")
    assert (len(clips), clips.num_left_out) == (1, 1)
    clip = clips[0]
    assert clip["video"].shape == (3, 16, 224, 224)
    assert clip["video"].dtype == torch.uint8
    assert clip["regions"].shape == (16, 28, 28)
    assert clip["regions"].dtype == torch.int32
    assert (clip["track_id"], clip["start"]) == ("ann/0", 0)
    # Frames 1, 3, 5, ... in the order of numbers, in which 9 comes before 11.
    levels = clip["video"].float().mean(dim=(0, 2, 3))
    assert levels.round().tolist() == [5.0 * number for number in range(1, 33, 2)]


def test_youtube_faces_regions(root):
    regions = YouTubeFaces(root, "val", start="first")[0]["regions"]
    expected = [1 << number % 11 for number in range(1, 33, 2)]
    expected[1] = expected[2] = 0  # no face parsed; no file
    assert regions[:, 0, 0].tolist() == expected
    assert (regions == regions[:, :1, :1]).all()


def test_youtube_faces_draw(root):
    clips = YouTubeFaces(root)
    starts = {clips[0, draw]["start"] for draw in range(30)}
    assert len(starts) > 3
    assert max(starts) <= 40 - 31


def test_youtube_faces_list_with_a_byte_order_mark(root):
    (root / "train_set.csv").write_text("path,len\nann/0,40\n", encoding="utf-8-sig")
    assert YouTubeFaces(root).track_ids == ["ann/0"]


def test_youtube_faces_listed_with_folder(root):
    (root / "train_set.csv").write_text("path,len\ncrop_images_DB/ann/0,40\n")
    assert YouTubeFaces(root).track_ids == ["ann/0"]


def test_youtube_faces_no_pickle(root):
    path = root / "face_parsing_images_DB" / "ann/0" / "1.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match=r"parse .* cannot be read: Object arrays"):
        YouTubeFaces(root, start="first")[0]


@pytest.mark.parametrize("label", [11, -2, 0.5])
def test_youtube_faces_no_labels(root, label):
    path = root / "face_parsing_images_DB" / "ann/0" / "1.npy"
    np.save(path, np.full((1, 224, 224), label))
    with pytest.raises(UsageError, match=r"parse .*1\.npy cannot be used: Invalid"):
        YouTubeFaces(root, start="first")[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\nann/0\n", "list .* is damaged"),
        ("path,len\nann/0,many\n", "list .* is damaged"),
        ("path,len\n", "lists no sequence of at least 16 frames among 0"),
    ],
)
def test_youtube_faces_bad_list(root, text, message):
    (root / "train_set.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        YouTubeFaces(root)


def test_youtube_faces_missing(root, tmp_path):
    with pytest.raises(UsageError, match=r"list .* cannot be read"):
        YouTubeFaces(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="Invalid split 'test'"):
        YouTubeFaces(root, "test")
    (root / "train_set.csv").write_text("path,len\nbob/1,40\n")
    with pytest.raises(UsageError, match="holds 12 frames; at least 16 are needed"):
        YouTubeFaces(root)[0]
