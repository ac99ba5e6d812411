"""Preparation from an object store to an object store, killed in between."""

import os
import shutil
import signal

import pytest

from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.store.sharding import shard_of
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.remote import RemoteFolder

N = 2
STORE = "s3://bucket/store"


@pytest.fixture
def prepare(bucket, videos, tmp_path, fake_faces):
    """Prepares videos of the bucket into the bucket."""
    import s3fs

    s3fs.S3FileSystem().put(str(videos), "bucket/v", recursive=True)

    def run(**options):
        options = {"shards": N, "scratch": tmp_path / "scratch", **options}
        return prepare_videos("s3://bucket/v", STORE, num_workers=0, **options)

    return run


def keys(folder=STORE):
    import s3fs

    fs = s3fs.S3FileSystem()
    fs.invalidate_cache()
    return sorted(key.removeprefix("bucket/store/") for key in fs.find(folder))


def killed_before(name, function):
    """Runs a function in a copy of this process that dies before it puts a file."""
    pid = os.fork()
    if pid == 0:
        put = RemoteFolder.put

        def put_or_die(self, file, target):
            if target == name:
                os.kill(os.getpid(), signal.SIGKILL)
            put(self, file, target)

        RemoteFolder.put = put_or_die
        try:
            function()
        finally:
            os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])


FILES = ["tracks.tar", "videos.parquet", "index.parquet"]
WHOLE = sorted(
    [f"shards/{shard:05d}/{name}" for shard in range(N) for name in FILES]
    + ["index.arrow", "index.parquet", "report.json", "store.json"]
)


def check_whole(videos, tmp_path):
    """Nothing is lost or doubled: the same tracks as on a disk."""
    assert keys() == WHOLE
    prepare_videos(videos, tmp_path / "local", shards=N, num_workers=0)
    remote = RemoteFolder(STORE)
    for name in WHOLE:
        if name.endswith(("tracks.tar", "index.parquet")):
            assert remote.read(name) == (tmp_path / "local" / name).read_bytes()
    ours = FaceStore(STORE, cache=tmp_path / "cache")
    theirs = FaceStore(tmp_path / "local")
    assert len(ours) == len(theirs) == 2
    for one, other in zip(ours, theirs, strict=True):
        assert (one.frames == other.frames).all()


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked copies")


@needs_fork
@pytest.mark.parametrize("scratch_is_kept", [True, False])
def test_killed_between_tar_and_index(prepare, videos, tmp_path, scratch_is_kept):
    killed_before("shards/00000/index.parquet", prepare)
    assert keys() == [*(f"shards/00000/{name}" for name in FILES[:2]), "store.json"]
    with pytest.raises(UsageError, match="its shards are not merged"):
        FaceStore(STORE, cache=tmp_path / "cache")
    if not scratch_is_kept:
        # As on another node.
        shutil.rmtree(tmp_path / "scratch")
    first = [name for name in sources(videos) if shard_of(name, N) == 0]
    assert first
    summary = prepare()
    assert summary.num_finished_before == (len(first) if scratch_is_kept else 0)
    check_whole(videos, tmp_path)
    assert prepare().num_finished_before == 6
    assert not list((tmp_path / "scratch").rglob("*.mov"))


def sources(videos):
    return [
        path.relative_to(videos).as_posix()
        for path in videos.rglob("*")
        if path.suffix in {".mp4", ".mkv"}
    ]


@needs_fork
def test_killed_before_the_merge(prepare, videos, tmp_path):
    killed_before("index.parquet", prepare)
    assert prepare().num_finished_before == 6
    check_whole(videos, tmp_path)


def test_changed_object_costs_its_shard(prepare, videos, tmp_path):
    prepare()
    before = {name: RemoteFolder(STORE).state(name) for name in WHOLE}
    import s3fs

    s3fs.S3FileSystem().put(str(videos / "deep" / "a.mp4"), "bucket/v/a.mp4")
    assert prepare().num_finished_before == 5
    after = {name: RemoteFolder(STORE).state(name) for name in WHOLE}
    changed = {name for name in WHOLE if after[name] != before[name]}
    assert f"shards/{shard_of('a.mp4', N):05d}/index.parquet" in changed
    assert f"shards/{1 - shard_of('a.mp4', N):05d}/index.parquet" not in changed
    store = FaceStore(STORE, cache=tmp_path / "cache")
    assert store.column("num_frames") == [24, 24]


def test_server_that_is_away(bucket, monkeypatch, videos, tmp_path):
    """One line for the store; a listing likewise."""
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(UsageError, match=r"s3://bucket/store cannot be"):
        prepare_videos(videos, STORE, num_workers=0)
    with pytest.raises(UsageError, match=r"The videos at s3://bucket/v cannot be"):
        prepare_videos("s3://bucket/v", tmp_path / "store", num_workers=0)
