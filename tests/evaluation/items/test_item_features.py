"""Features of items end to end: which rows, whose, and what is computed when."""

import importlib

import numpy as np
import pytest
import torch

import lightly_marlin.evaluation as package
from lightly_marlin.evaluation import LabelTable, PixelFeatures, Target, item_features
from lightly_marlin.features import extract_features
from lightly_marlin.features.feature_ledger import read_journal
from lightly_marlin.models import create_marlin_encoder
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import CropOptions, FaceStore
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video


@pytest.fixture
def folder(tmp_path, make_frames, fake_faces):
    """Two tracks in one video, one in another, none in a third, and no video."""
    path = tmp_path / "videos"
    (path / "deep").mkdir(parents=True)
    dark = make_frames(10, face=False)
    two = np.concatenate([make_frames(40), dark, make_frames(100, seed=1)])
    options = {"codec": "ffv1", "pixel_format": "bgr0"}
    write_video(path / "two.mkv", two, 25.0, **options)
    write_video(path / "deep" / "one.mkv", make_frames(33, seed=2), 20.0, **options)
    write_video(path / "dark.mkv", dark, **options)
    write_video(path / "unnamed.mkv", make_frames(20), **options)
    (path / "text.mp4").write_text("no video")
    return path


@pytest.fixture
def store(folder, tmp_path):
    prepare_videos(folder, tmp_path / "store", num_workers=0, all_faces=True)
    return FaceStore(tmp_path / "store")


def make_table(*items):
    """A table of items (name, video, start, end)."""
    names, videos, starts, ends = zip(*items, strict=True)
    starts, ends = (
        [np.nan if value is None else value for value in values]
        for values in (starts, ends)
    )
    labels = torch.zeros(len(items), 1)
    return LabelTable.make(
        Target("binary", ("smile",)),
        videos,
        labels,
        items=names,
        starts=starts,
        ends=ends,
    )


WHOLE = make_table(
    ("a", "two.mkv", None, None),
    ("b", "deep/one.mkv", None, None),
    ("c", "dark.mkv", None, None),
    ("d", "text.mp4", None, None),
    ("e", "gone.mkv", None, None),
    ("f", "deep/one.mkv", None, None),
)

# The tracks of two.mkv are frames 0 to 39 and 50 to 149: 0 to 1.6 s and 2 to 6 s.
PARTS = make_table(
    ("a", "two.mkv", 0.0, 1.5),
    ("b", "two.mkv", 1.5, 1.6),
    ("c", "two.mkv", 1.64, 1.9),
    ("d", "two.mkv", 2.0, 4.0),
    ("e", "two.mkv", 1.55, 2.1),
    ("f", "two.mkv", 2.0, 2.2),
    ("g", "two.mkv", 7.0, 9.0),
    ("h", "two.mkv", -1.0, -0.5),
)


@pytest.fixture
def count(monkeypatch, encoder):
    """Counts the windows that are encoded."""
    calls, forward = [], type(encoder).forward

    def counting(self, images, *rest):
        calls.append(len(images))
        return forward(self, images, *rest)

    monkeypatch.setattr(type(encoder), "forward", counting)
    return calls


def same(one, other):
    assert torch.equal(one.features, other.features)
    assert torch.equal(one.item_of_row, other.item_of_row)
    assert (one.statuses, one.reasons) == (other.statuses, other.reasons)
    return True


def test_whole_videos_of_a_store(store, encoder, tmp_path):
    found = item_features(encoder, WHOLE, store, cache=tmp_path / "cache")
    assert found.statuses == ("ok", "ok", "no_face", "failed", "missing", "ok")
    # The longer track of the first video has 100 frames: 50 at stride 2, 4 windows.
    assert found.window_counts().tolist() == [4, 2, 0, 0, 0, 2]
    assert torch.equal(found.features[4:6], found.features[6:8])
    assert found.reasons[2] == "no face was found in its 10 frames"
    assert "cannot be opened" in found.reasons[3]
    assert found.reasons[4] == "there is no video gone.mkv"
    assert found.reasons[0] is None
    every = item_features(
        encoder, WHOLE, store.path, cache=tmp_path / "cache", all_faces=True
    )
    assert every.window_counts().tolist() == [6, 2, 0, 0, 0, 2]
    assert torch.equal(every.features[2:6], found.features[:4])


def test_what_is_said_about_them(store, encoder, tmp_path):
    found = item_features(encoder, WHOLE, store, cache=tmp_path / "cache")
    assert found.options == {
        "source": "store",
        "crops": store.crop_options.crops(),
        "jpeg_quality": 65,
        "sample_rate": 2,
        "stride": 16,
        "precision": "32",
        "tokens": False,
        "pool_tokens": 1,
        "dtype": "float32",
        "all_faces": False,
    }
    assert found.model["name"] == "MarlinEncoder"
    assert (found.model["encoder_dim"], found.model["num_frames"]) == (24, 16)
    assert len(found.model["weights"]) == 32


def test_videos_are_cropped_on_the_way(folder, encoder, tmp_path):
    found = item_features(encoder, WHOLE, folder, cache=tmp_path / "cache")
    assert found.statuses == ("ok", "ok", "no_face", "failed", "missing", "ok")
    expected = extract_features(encoder, folder / "two.mkv", crop_face=True)
    torch.testing.assert_close(found.features[:4], expected.features)
    assert found.options["source"] == "videos"
    assert found.options["crops"] == CropOptions().crops()
    assert found.options["jpeg_quality"] is None


def test_videos_that_are_crops_already(folder, encoder, tmp_path):
    options = {"cache": tmp_path / "cache", "whole_frames": True}
    found = item_features(encoder, WHOLE, folder, **options)
    assert found.statuses == ("ok", "ok", "ok", "failed", "missing", "ok")
    expected = extract_features(encoder, folder / "two.mkv")
    torch.testing.assert_close(found.features[:5], expected.features)
    assert (found.options["source"], found.options["crops"]) == ("whole frames", None)
    late = make_table(("a", "two.mkv", 100.0, 101.0), ("b", "two.mkv", 0.0, 0.2))
    found = item_features(encoder, late, folder, **options)
    assert found.statuses == ("failed", "ok")
    assert found.reasons[0] == "no frame of the video is in its seconds"


@pytest.mark.parametrize("kind", ["store", "videos"])
def test_stretches(kind, store, folder, encoder, tmp_path):
    source = store if kind == "store" else folder
    found = item_features(encoder, PARTS, source, cache=tmp_path / "cache")
    statuses = dict(zip(PARTS.items, found.statuses, strict=True))
    # c lies between the tracks, g after the last frame, h before the first one.
    no_face = [name for name, status in statuses.items() if status != "ok"]
    assert no_face == ["c", "g", "h"]
    assert set(statuses.values()) == {"ok", "no_face"}
    assert found.reasons[2] == "no face track is in its seconds of the video"
    # Regular windows have their middles at 0.6, 0.92; 2.6, 3.88, 5.16 and 5.32 s.
    assert found.window_counts().tolist() == [2, 1, 0, 2, 1, 1, 0, 0]
    (cached,) = (tmp_path / "cache").iterdir()
    rows = read_journal(cached)["two.mkv"].rows
    own = [row for row in rows if (row.stretch_start, row.stretch_end) == (1.55, 2.1)]
    # e ends in the second track: each has a window of its own of it.
    assert [(r.track_id[-3:], r.start_frame) for r in own] == [("000", 39), ("001", 50)]
    main = max(own, key=lambda row: (row.face_width, row.track_id == own[0].track_id))
    features = torch.from_numpy(np.load(cached / "two.npy"))
    assert torch.equal(found.features[5], features[main.row])


def test_nothing_is_computed_twice(store, encoder, tmp_path, count):
    cache = tmp_path / "cache"
    first = item_features(encoder, WHOLE, store, cache=cache)
    assert sum(count) == 6 + 2
    assert same(item_features(encoder, WHOLE, store, cache=cache), first)
    subset = item_features(encoder, WHOLE.select([0, 2]), store, cache=cache)
    assert same(subset, first.subset([0, 2]))
    assert sum(count) == 8
    torch.manual_seed(1)
    other = type(encoder)(encoder.config).eval()
    item_features(other, WHOLE, store, cache=cache)
    assert sum(count) == 16
    assert same(item_features(encoder, WHOLE, store, cache=cache), first)
    assert sum(count) == 16
    assert len(list(cache.iterdir())) == 2


def test_only_videos_of_the_table_are_read(folder, encoder, tmp_path):
    item_features(encoder, WHOLE, folder, cache=tmp_path / "cache")
    names = {path.name for path in (tmp_path / "cache").rglob("*.npy")}
    assert names == {"two.npy", "one.npy", "dark.npy"}


def test_tables_share_a_cache_whatever_comes_first(store, encoder, tmp_path, count):
    """Stretches of one table neither show in nor displace those of another."""
    tables = (WHOLE, PARTS)
    apart = [
        item_features(encoder, table, store, cache=tmp_path / f"{number}")
        for number, table in enumerate(tables)
    ]
    for name, order in (("ab", (0, 1, 0, 1)), ("ba", (1, 0, 1, 0))):
        for turn, index in enumerate(order):
            before, cache = sum(count), tmp_path / name
            found = item_features(encoder, tables[index], store, cache=cache)
            assert same(found, apart[index])
            assert turn < 2 or sum(count) == before


def test_a_killed_run_goes_on(store, encoder, tmp_path, monkeypatch):
    whole = item_features(encoder, PARTS, store, cache=tmp_path / "whole")
    forward, calls = type(encoder).forward, []

    class StopError(Exception):
        pass

    def stopping(self, images, *rest):
        calls.append(1)
        if len(calls) == 4:
            raise StopError
        return forward(self, images, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(type(encoder), "forward", stopping)
        with pytest.raises(StopError):
            item_features(encoder, PARTS, store, cache=tmp_path / "cache")
    again = item_features(encoder, PARTS, store, cache=tmp_path / "cache")
    assert same(again, whole)


def test_tokens_in_half_precision(store, encoder, tmp_path):
    options = {"cache": tmp_path / "cache", "tokens": True}
    found = item_features(encoder, WHOLE, store, **options)
    assert found.features.dtype == torch.float16
    assert found.features.shape == (8, 8, 24)
    assert found.options["pool_tokens"] == 2
    every = item_features(encoder, WHOLE, store, **options, pool_tokens=1)
    assert every.features.shape == (8, 32, 24)
    means = every.features.float().reshape(8, 8, 4, 24).mean(dim=2)
    torch.testing.assert_close(found.features.float(), means, atol=2e-3, rtol=2e-3)


def test_tokens_of_frames_that_squares_do_not_fill(store, tmp_path):
    encoder = create_marlin_encoder("marlin_vit_tiny", img_size=48, encoder_dim=24)
    options = {"cache": tmp_path / "cache", "tokens": True}
    found = item_features(encoder.eval(), WHOLE, store, **options)
    assert found.features.shape == (8, 72, 24)
    assert found.options["pool_tokens"] == 1
    pixels = item_features(PixelFeatures(16, 48), WHOLE, store, **options)
    assert pixels.features.shape == (8, 1, 1024)


def test_pixels_take_the_place_of_an_encoder(store, tmp_path):
    model = PixelFeatures(16, 64, num_pictures=2, side=4)
    found = item_features(model, WHOLE, store, cache=tmp_path / "cache")
    assert found.features.shape == (8, 32)
    assert found.model["name"] == "PixelFeatures"
    track = next(track for track in store if track.source == "deep/one.mkv")
    luma = track.frames[0].astype(float) @ (0.299, 0.587, 0.114) / 255
    expected = luma.reshape(4, 56, 4, 56).mean(axis=(1, 3)).ravel()
    assert np.abs(found.features[4, :16].numpy() - expected).max() < 0.02


def test_workers_change_nothing(store, encoder, tmp_path):
    alone = item_features(encoder, PARTS, store, cache=tmp_path / "0")
    workers = item_features(encoder, PARTS, store, cache=tmp_path / "2", num_workers=2)
    assert same(alone, workers)


def test_files_are_not_read_whole(store, encoder, tmp_path, monkeypatch):
    modes, load = [], np.load

    def recording(path, **options):
        modes.append(options)
        return load(path, **options)

    monkeypatch.setattr(np, "load", recording)
    item_features(encoder, PARTS, store, cache=tmp_path / "cache")
    assert modes
    assert all(mode == {"mmap_mode": "r"} for mode in modes)


def test_features_that_are_not_finite(store, encoder, tmp_path):
    broken = type(encoder)(encoder.config).eval()
    broken.norm.bias.data.fill_(torch.nan)
    with pytest.raises(UsageError, match="features of the item 'a' are not finite"):
        item_features(broken, WHOLE, store, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"whole_frames": True}, "Invalid whole_frames: no crops are made of"),
        ({"crops": CropOptions()}, "Invalid crops: no crops are made of"),
        ({"precision": "8"}, r"Invalid precision \('8'\)"),
        ({"tokens": True, "pool_tokens": 3}, r"pool_tokens \(3\). It must divide"),
    ],
)
def test_bad_options(options, message, store, encoder, tmp_path):
    with pytest.raises(UsageError, match=message):
        item_features(encoder, WHOLE, store, cache=tmp_path / "cache", **options)
    assert not (tmp_path / "cache").exists()


def test_a_table_of_other_videos(store, encoder, tmp_path):
    table = make_table(("a", "other.mp4", None, None))
    message = r"None of the 1 items of labels .* the first is 'other.mp4'.* 5 videos"
    with pytest.raises(UsageError, match=message):
        item_features(encoder, table, store, cache=tmp_path / "cache")


def test_the_package_gives_the_function_and_not_its_module():
    """Loading the module sets an attribute of its name, which is the function's."""
    module = importlib.import_module("lightly_marlin.evaluation.items.item_features")
    assert package.item_features is module.item_features
