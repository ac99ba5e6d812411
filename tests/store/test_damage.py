"""Damaged stores: a clear error or sound data, and a way back."""

import json
import shutil

import numpy as np
import pytest

from lightly_marlin.data import FaceClips
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.store.checks import is_whole, read_record
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video


@pytest.fixture
def prepared(tmp_path, make_frames, fake_faces):
    """A folder of two videos and the store made of them."""
    folder = tmp_path / "v"
    folder.mkdir()
    write_video(folder / "a.mp4", make_frames(20, 64, 64))
    write_video(folder / "b.mp4", make_frames(24, 64, 64, seed=1))
    prepare_videos(folder, tmp_path / "store", num_workers=0)
    return folder, tmp_path / "store"


def read_all(store):
    """Reads everything there is; returns the number of frames."""
    total = 0
    for track in FaceStore(store):
        count = track.num_frames
        assert track.frames.shape == (count, 224, 224, 3)
        assert track.cells.bits.shape == (count, 28, 28)
        assert track.landmarks.shape == (count, 68, 2)
        assert track.boxes.shape == (count, 4)
        if track.num_samples:
            assert track.audio.shape == (track.num_samples,)
            assert track.seconds.shape == (count,)
        total += count
    clips = FaceClips(FaceStore(store), start="center")
    assert all(clip["video"].shape == (3, 16, 224, 224) for clip in clips)
    return total


def complaint(function):
    """Returns the message of the error that a call ends with, or nothing."""
    try:
        function()
    except UsageError as error:
        return str(error)
    return ""


def mutate(data, generator):
    """Returns bytes that something went wrong with."""
    data = np.frombuffer(data, np.uint8).copy()
    first, last = sorted(generator.integers(0, len(data) + 1, 2).tolist())
    kind = generator.integers(6)
    if kind == 0:
        data = data[:first]
    elif kind == 1:
        places = generator.integers(0, len(data), generator.integers(1, 30))
        data[places] ^= 1 << generator.integers(0, 8, len(places)).astype(np.uint8)
    elif kind == 2:
        data[first:last] = 0
    elif kind == 3:
        data = np.concatenate([data[:last], data[first:]])
    elif kind == 4:
        data[first:last] = generator.integers(0, 256, last - first)
    else:
        data = np.concatenate([data[:first], data[last:]])
    return data.tobytes()


def damage_and_repair(prepared, tmp_path, number, **options):
    """Damages a file of a copy; returns whether reading noticed."""
    videos, store = prepared
    copy = tmp_path / f"copy_{number}"
    shutil.copytree(store, copy)
    generator = np.random.default_rng(number)
    files = sorted(path for path in copy.rglob("*") if path.stat().st_size > 0)
    files = [path for path in files if path.is_file()]
    victim = files[generator.integers(len(files))]
    victim.write_bytes(mutate(victim.read_bytes(), generator))
    noticed = complaint(lambda: read_all(copy))
    left = complaint(lambda: prepare_videos(videos, copy, num_workers=0, **options))
    left = left or complaint(lambda: read_all(copy))
    if left:
        # What a run cannot see, or must not touch, people are told to move away.
        assert any(word in left for word in ("Move its folder", "a new folder"))
        target = victim if victim.parent == copy else victim.parent
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        prepare_videos(videos, copy, num_workers=0, **options)
    assert read_all(copy) == 44
    shutil.rmtree(copy)
    return bool(noticed)


def test_mutated_stores(prepared, tmp_path):
    noticed = [damage_and_repair(prepared, tmp_path, number) for number in range(60)]
    assert sum(noticed) > 15


@pytest.fixture
def prepared_with_sound(prepared, make_frames):
    videos, store = prepared
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 12000)
    write_video(videos / "a.mp4", make_frames(20, 64, 64), audio=sound)
    prepare_videos(videos, store, num_workers=0, audio=True)
    return videos, store


def test_mutated_stores_with_sound(prepared_with_sound, tmp_path):
    for number in range(60, 80):
        damage_and_repair(prepared_with_sound, tmp_path, number, audio=True)


def check_sound(clip):
    assert clip["audio"].shape == (16 * 640,)
    assert clip["audio"].abs().max() <= 1
    assert clip["seconds"].isfinite().all()


@pytest.mark.parametrize("name", ["audio", "seconds"])
def test_mutated_sound(prepared_with_sound, name):
    """An error that names the file, or samples in their range."""
    _, store = prepared_with_sound
    (path,) = store.glob(f"tracks/*/*.{name}.npy")
    clips = FaceClips(store, audio=True, tracks=FaceStore(store).tracks_with_audio())
    data, noticed = path.read_bytes(), []
    for number in range(40):
        path.write_bytes(mutate(data, np.random.default_rng(number)))
        text = complaint(lambda: check_sound(clips[0]))
        assert not text or f"{name}.npy" in text
        noticed.append(bool(text))
    assert sum(noticed) > 5


@pytest.mark.slow
def test_many_mutated_stores(prepared, tmp_path):
    for number in range(60, 300):
        damage_and_repair(prepared, tmp_path, number)


def track_files(store):
    return sorted(path for path in store.glob("tracks/a_*/track_000.*"))


@pytest.mark.parametrize("how", ["cut off", "empty", "missing"])
@pytest.mark.parametrize("suffix", [".mov", ".frames.npy", ".cells.npy", ".boxes.npy"])
def test_a_file_of_a_track_is_short(prepared, suffix, how):
    videos, store = prepared
    (path,) = [file for file in track_files(store) if file.name.endswith(suffix)]
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if how == "cut off" else b"")
    with pytest.raises(UsageError):
        read_all(store)
    assert prepare_videos(videos, store, num_workers=0).num_finished_before == 1
    assert read_all(store) == 44
    assert path.read_bytes() == data


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(99) + b"PAR1"])
def test_damaged_index_is_rebuilt(prepared, content):
    videos, store = prepared
    (store / "index.parquet").write_bytes(content)
    with pytest.raises(UsageError, match=r"index\.parquet cannot be read"):
        FaceStore(store)
    assert prepare_videos(videos, store, num_workers=0).num_finished_before == 2
    assert read_all(store) == 44


@pytest.mark.parametrize(
    "change",
    [
        {"num_frames": "many"},
        {"num_frames": True},
        {"status": "odd"},
        {"reason": "\udc80"},
        {"source": "\udc80"},
        {"fingerprint": None, "retry": 3},
    ],
)
def test_records_with_strange_values_are_not_taken(prepared, change):
    videos, store = prepared
    path = track_files(store)[0].parent / "video.json"
    assert read_record(path.parent) is not None
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, **change}))
    assert read_record(path.parent) is None
    prepare_videos(videos, store, num_workers=0)
    assert read_all(store) == 44


@pytest.mark.parametrize(
    "change",
    [
        {"fps": None},
        {"fps": "25"},
        {"score": [1]},
        {"num_frames": 10**15},
        {"num_frames": 21},
        {"video": "tracks/nowhere/track_000.mov"},
        {"video": "a\0b"},
    ],
)
def test_rows_with_strange_values_are_not_taken(prepared, change):
    videos, store = prepared
    path = track_files(store)[0].parent / "video.json"
    record = json.loads(path.read_text())
    record["rows"][0].update(change)
    path.write_text(json.dumps(record))
    taken = read_record(path.parent)
    assert taken is None or not is_whole(taken, store)
    prepare_videos(videos, store, num_workers=0)
    assert read_all(store) == 44


@pytest.mark.parametrize("row", [[-5, 9], [0, 2**62], [2**62, 9], [100, -90]])
def test_table_of_crops_that_points_anywhere(prepared, row):
    _, store = prepared
    (path,) = store.glob("tracks/a_*/track_000.frames.npy")
    table = np.load(path)
    for place in (0, 10, 19):
        wrong = table.copy()
        wrong[place] = row
        np.save(path, wrong)
        with pytest.raises(UsageError, match=r"crops .* are damaged at byte"):
            read_all(store)
