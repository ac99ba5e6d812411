"""Quality of a store's crops: recorded, reused, and 65 where nothing is said."""

import io
import json

import pyarrow.parquet as pq
import pytest
from PIL import Image

from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video


@pytest.fixture
def folder(tmp_path, make_frames, fake_faces):
    (tmp_path / "videos").mkdir()
    for name in "ab":
        write_video(tmp_path / "videos" / f"{name}.mp4", make_frames(18))
    return tmp_path / "videos"


def prepare(folder, store, **options):
    return prepare_videos(folder, store, num_workers=0, **options)


def first_picture(store):
    track = store[0]
    offset, size = track._rows("frames", [0])[0]
    data = (store.path / track.row.video).read_bytes()[offset : offset + size]
    return Image.open(io.BytesIO(data))


def test_the_pictures_have_it(folder, tmp_path):
    """JPEG has no field for it: its tables are those of the quality."""
    for quality in (40, 95):
        prepare(folder, tmp_path / f"{quality}", jpeg_quality=quality)
        expected = io.BytesIO()
        Image.new("RGB", (16, 16)).save(expected, "JPEG", quality=quality)
        found = first_picture(FaceStore(tmp_path / f"{quality}")).quantization
        assert found == Image.open(expected).quantization
    sizes = [
        FaceStore(tmp_path / name)[0]._rows("frames", range(18))[:, 1].sum()
        for name in ("40", "95")
    ]
    assert sizes[1] > 1.3 * sizes[0]


def test_it_is_recorded(folder, tmp_path):
    path = tmp_path / "store"
    prepare(folder, path, jpeg_quality=80)
    store = FaceStore(path)
    assert store.jpeg_quality == 80
    assert json.loads((path / "report.json").read_text())["jpeg_quality"] == 80
    assert {record.fingerprint["jpeg_quality"] for record in store.records()} == {80}
    # Crops of other videos are not compressed: it is none of their options.
    assert "jpeg_quality" not in vars(store.crop_options)


def test_another_quality_prepares_again(folder, tmp_path):
    path = tmp_path / "store"
    assert prepare(folder, path).num_finished_before == 0
    assert FaceStore(path).jpeg_quality == 65
    assert prepare(folder, path, jpeg_quality=65).num_finished_before == 2
    assert prepare(folder, path, jpeg_quality=80).num_finished_before == 0
    assert prepare(folder / "a.mp4", path, jpeg_quality=90).num_finished_before == 0
    assert FaceStore(path).jpeg_quality is None


def test_stores_of_earlier_releases_have_65(folder, tmp_path):
    path = tmp_path / "store"
    prepare(folder, path)
    for file in path.glob("tracks/*/video.json"):
        value = json.loads(file.read_text())
        del value["fingerprint"]["jpeg_quality"]
        file.write_text(json.dumps(value))
    table = pq.read_table(path / "index.parquet")
    metadata = dict(table.schema.metadata)
    del metadata[b"lightly_marlin.jpeg_quality"]
    pq.write_table(table.replace_schema_metadata(metadata), path / "index.parquet")
    assert FaceStore(path).jpeg_quality == 65
    assert prepare(folder, path).num_finished_before == 2
    assert FaceStore(path).jpeg_quality == 65


@pytest.mark.parametrize("quality", [0, 101, 65.5, True])
def test_bad_qualities(quality, folder, tmp_path):
    with pytest.raises(UsageError, match=rf"Invalid jpeg_quality \({quality}\)"):
        prepare(folder, tmp_path / "store", jpeg_quality=quality)
    assert not (tmp_path / "store").exists()
