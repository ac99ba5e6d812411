"""Exports: the same clips from WebDataset tars and LitData chunks."""

import json
import tarfile

import numpy as np
import pytest

from lightly_marlin.data import FaceClips
from lightly_marlin.data.streamed_clips import StreamedClips, streaming_loader
from lightly_marlin.demo import demo_store
from lightly_marlin.store import TrackRow
from lightly_marlin.store.export import export_store
from lightly_marlin.store.memory_track import MemoryTrack
from lightly_marlin.utils.errors import UsageError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    return demo_store(folder / "store", num_clips=6, num_frames=24)


@pytest.fixture(scope="module")
def chunks(store, tmp_path_factory):
    pytest.importorskip("litdata")
    out = tmp_path_factory.mktemp("litdata") / "out"
    assert export_store(store, out, "litdata", max_bytes=400_000) > 1
    return out


def read_tar(path):
    with tarfile.open(path) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}
    samples = {}
    for name, content in members.items():
        key, _, rest = name.partition(".")
        samples.setdefault(key, {})[rest] = content
    return samples


def test_tars_have_every_track_once(store, tmp_path):
    count = export_store(store, tmp_path / "out", "webdataset", max_bytes=400_000)
    paths = sorted((tmp_path / "out").glob("*.tar"))
    assert count == len(paths) > 1
    samples = {}
    for path in paths:
        samples |= read_tar(path)
    assert list(samples) == store.column("track_id")
    for track in store:
        sample = samples[track.track_id]
        row = TrackRow(**json.loads(sample["json"]))
        files = {name.removesuffix(".npy"): x for name, x in sample.items()}
        memory = MemoryTrack(row, files={**files, "video": files["mov"]})
        frames = range(1, 24, 2)
        assert (memory.read_video(frames) == track.read_video(frames)).all()
        np.testing.assert_array_equal(memory.landmarks, track.landmarks)
        assert (memory.cells.bits == track.cells.bits).all()


def test_an_export_that_was_killed_goes_on(store, tmp_path):
    out = tmp_path / "out"
    export_store(store, out, "webdataset", max_bytes=400_000)
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    first, *_, last = sorted(out.glob("*.tar"))
    kept = first.stat().st_mtime_ns
    last.write_bytes(last.read_bytes()[:700])
    export_store(store, out, "webdataset", max_bytes=400_000)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole
    assert first.stat().st_mtime_ns == kept


def test_bad_exports(store, tmp_path):
    with pytest.raises(UsageError, match="Supported values are litdata, webdataset"):
        export_store(store, tmp_path / "out", "zip")
    with pytest.raises(UsageError, match="s3://b/out is a URL"):
        export_store(store, "s3://b/out", "litdata")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(
        UsageError, match=r"holds notes\.txt, which is not of an export"
    ):
        export_store(store, tmp_path, "webdataset")
    with pytest.raises(UsageError, match="cannot be written: Not a directory"):
        export_store(store, tmp_path / "notes.txt" / "out", "webdataset")


def test_another_export_is_refused(store, tmp_path):
    export_store(store, tmp_path / "out", "webdataset", max_bytes=400_000)
    names = store.column("track_id")[:2]
    for options in ({"max_bytes": 10**6}, {"tracks": names, "max_bytes": 400_000}):
        with pytest.raises(UsageError, match="holds an export of other tracks"):
            export_store(store, tmp_path / "out", "webdataset", **options)
    export_store(store, tmp_path / "some", "webdataset", tracks=names)
    assert list(read_tar(tmp_path / "some" / "shard-000000.tar")) == names
    with pytest.raises(UsageError, match="Invalid tracks: no"):
        export_store(store, tmp_path / "more", "webdataset", tracks=["no"])


def test_other_files_are_left_alone(store, tmp_path):
    (tmp_path / "model.bin").write_text("precious")
    with pytest.raises(UsageError, match=r"holds model\.bin, which is not of an"):
        export_store(store, tmp_path, "litdata")
    assert (tmp_path / "model.bin").read_text() == "precious"


def test_a_finished_export_is_not_written_over(store, chunks):
    with pytest.raises(UsageError, match="holds a finished export already"):
        export_store(store, chunks, "litdata", max_bytes=400_000)


def clips_of(loader):
    return [
        (name, int(start), video)
        for batch in loader
        for name, start, video in zip(
            batch["track_id"], batch["start"], batch["video"], strict=True
        )
    ]


def test_streamed_clips_are_those_of_the_store(store, chunks):
    streamed = clips_of(streaming_loader(StreamedClips(chunks, stride=1), 2))
    clips = FaceClips(store, stride=1, seed=0)
    names = clips.track_ids
    assert sorted(name for name, *_ in streamed) == sorted(names)
    for name, start, video in streamed:
        clip = clips[names.index(name), 0]
        assert clip["start"] == start
        assert (clip["video"] == video).all()


def test_epochs_have_other_starts(chunks):
    loader = streaming_loader(StreamedClips(chunks, num_frames=4, stride=1), 3)
    epochs = [{name: start for name, start, _ in clips_of(loader)} for _ in range(2)]
    assert epochs[0].keys() == epochs[1].keys()
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_goes_on_where_it_stopped(num_workers, store, chunks):
    def loader(workers):
        return streaming_loader(StreamedClips(chunks, stride=1), 2, num_workers=workers)

    begun = loader(0)
    first = next(iter(begun))["track_id"]
    state = begun.state_dict()
    rest = loader(num_workers)
    rest.load_state_dict(state)
    names = [name for name, *_ in clips_of(rest)]
    assert sorted([*first, *names]) == sorted(store.column("track_id"))


def test_what_is_no_export_is_refused(store, tmp_path):
    pytest.importorskip("litdata")
    with pytest.raises(UsageError, match="is no LitData export"):
        StreamedClips(store.path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(UsageError, match=r"--format litdata"):
        StreamedClips(tmp_path)


def test_damaged_samples_say_so(store):
    row = store[0].row
    files = {"frames": b"x" * 200, "video": b""}
    with pytest.raises(UsageError, match=r"The frames of the track demo_.*Export the"):
        MemoryTrack(row, files=files).read_video(range(4))
    with pytest.raises(UsageError, match=r"The cells of the track demo_"):
        MemoryTrack(row, files=files).read_cells(range(4))
    with pytest.raises(UsageError, match="has no sound"):
        MemoryTrack(row, files=files).read_audio(0, 10)
