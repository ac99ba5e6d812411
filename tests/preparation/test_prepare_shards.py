"""Preparation shard by shard: resumed, repeated, killed, and at a URL."""

import os
import random
import signal
import sys
import threading

import fsspec
import pytest

from lightly_marlin.jobs.lock import take_lock
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.store.merging import merge_shards
from lightly_marlin.store.shard_reading import read_shard_records
from lightly_marlin.store.sharding import StoreLayout, shard_of
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video

N = 3


@pytest.fixture
def run(videos, tmp_path, fake_faces):
    """Prepares the videos into a store of three shards in this process."""

    def prepare(store="store", **options):
        options = {"shards": N, "num_workers": 0, **options}
        return prepare_videos(videos, tmp_path / store, **options)

    return prepare


def contents(store):
    """Bytes of every file of a store by its relative path.

    Of a store whose beginning was killed, a few bytes may remain beside `store.json`.
    """
    paths = [path for path in store.rglob("[!.]*") if path.is_file()]
    return {str(path.relative_to(store)): path.read_bytes() for path in paths}


def tars(store):
    files = store.glob("shards/*/tracks.tar")
    return {path: path.stat().st_mtime_ns for path in files}


def essence(store):
    """What tracks hold, wherever they lie."""
    return [
        (track.row.track_id, track.frames.tobytes(), track.landmarks.tobytes())
        for track in FaceStore(store)
    ]


def test_equal_to_a_store_without_shards(run, tmp_path):
    summary, loose = run(), run("loose", shards=None)
    assert [(r.source, r.status) for r in summary.records] == [
        (r.source, r.status) for r in loose.records
    ]
    assert essence(tmp_path / "store") == essence(tmp_path / "loose")
    assert not (tmp_path / "loose" / "shards").exists()
    assert not list((tmp_path / "store").rglob(".unfinished"))


def test_rows_of_the_summary_are_those_of_the_store(run, tmp_path):
    rows = {row.track_id: row for r in run().records for row in r.rows}
    assert rows == {
        track.row.track_id: track.row for track in FaceStore(tmp_path / "store")
    }


def test_shards_one_by_one_in_any_order(run, tmp_path):
    run("whole")
    done = [run(shard=shard) for shard in (2, 0, 1)]
    assert sum(len(summary.records) for summary in done) == 6
    assert not (tmp_path / "store" / "index.parquet").exists()
    merge_shards(tmp_path / "store")
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_again_does_nothing(run, tmp_path):
    run()
    before = tars(tmp_path / "store")
    # The store knows the number of its shards.
    again = run(shards=None)
    assert (again.num_finished_before, again.num_frames) == (6, 0)
    assert tars(tmp_path / "store") == before


def test_changed_video_costs_its_shard(run, videos, tmp_path, make_frames):
    run()
    before = tars(tmp_path / "store")
    write_video(videos / "a.mp4", make_frames(33))
    assert run().num_finished_before == 5
    after = tars(tmp_path / "store")
    changed = [int(path.parent.name) for path in after if after[path] != before[path]]
    assert changed == [shard_of("a.mp4", N)]
    assert sorted(FaceStore(tmp_path / "store").column("num_frames")) == [24, 33]


def test_new_videos_keep_the_others(run, videos, tmp_path):
    (videos / "a.mp4").rename(tmp_path / "later.mp4")
    run()
    (tmp_path / "later.mp4").rename(videos / "a.mp4")
    assert run().num_finished_before == 5
    run("whole")
    expected = essence(tmp_path / "whole")
    assert essence(tmp_path / "store") == expected
    # Videos that are gone stay in the store.
    for path in videos.rglob("*.mp4"):
        path.unlink()
    run()
    assert essence(tmp_path / "store") == expected


def test_transient_failure_is_tried_again(run, videos, tmp_path):
    (videos / "gone.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    assert [r.source for r in run().records if r.retry] == ["gone.mp4"]
    write_video_of(videos / "a.mp4", tmp_path / "elsewhere.mp4")
    again = run()
    assert (again.num_finished_before, again.num_tracks) == (6, 3)


def write_video_of(path, copy):
    copy.write_bytes(path.read_bytes())


def test_another_video_of_the_same_name(run, videos, tmp_path, make_frames):
    run()
    other = tmp_path / "other"
    other.mkdir()
    write_video(other / "a.mp4", make_frames(30))
    with pytest.raises(UsageError, match=r"already holds a video a\.mp4"):
        prepare_videos(other, tmp_path / "store", num_workers=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shards": 4}, "has 3 shards, not 4"),
        ({"shard": 3}, "There is no shard 3"),
        ({"shard": -1}, "There is no shard -1"),
        ({"shards": 0}, r"Invalid number of shards \(0\)"),
        ({"engine": "ray", "shard": 0}, "Leave out one of the two"),
        ({"engine": "ray", "num_workers": 2}, r"\(--cpus-per-shard\)"),
        ({"address": "auto"}, "needs the engine ray"),
        ({"engine": "spark"}, r"Invalid engine \('spark'\)"),
        ({"cpus_per_shard": 0}, "cpus_per_shard"),
        ({"retries": -1}, "retries"),
        ({"stall_seconds": 0.0}, "stall_seconds"),
    ],
)
def test_bad_options(run, tmp_path, options, message):
    StoreLayout.open(tmp_path / "store", N)
    with pytest.raises(UsageError, match=message):
        run(**options)


def test_ray_without_a_number_of_shards(run):
    with pytest.raises(UsageError, match=r"is new: name the number .*\(--shards\)"):
        run(shards=None, engine="ray", num_workers=None)


def test_store_without_shards_stays_without(run):
    run(shards=None)
    with pytest.raises(UsageError, match="is not sharded"):
        run()


def test_shard_that_another_process_prepares(run, tmp_path):
    layout = StoreLayout.open(tmp_path / "store", N)
    home = layout.shard_folder(1) / ".preparing"
    home.mkdir(parents=True)
    lock = take_lock(home, "shard")
    with pytest.raises(UsageError, match="Another process is writing to the shard"):
        run(shard=1)
    run(shard=0)
    lock.close()
    run(shard=1)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked copies")
STEPS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod"}


def killed_at(function, store, step):
    """Runs a function in a copy that kills itself at a step; returns whether it did."""
    pid = os.fork()
    if pid == 0:
        left = [step]

        def count(event, arguments):
            if event in STEPS and str(arguments[0]).startswith(str(store)):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            function()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def check_steps(run, tmp_path, steps):
    run("whole")
    expected = contents(tmp_path / "whole")
    for number, step in enumerate(steps):
        store = tmp_path / f"store_{number}"
        killed = killed_at(lambda name=store.name: run(name), store, step)
        layout = StoreLayout.read(store)
        committed = {
            shard: read_shard_records(layout, shard)
            for shard in range(N if layout else 0)
        }
        run(store.name)
        assert contents(store) == expected
        for shard, records in committed.items():
            assert records in (None, read_shard_records(layout, shard))
        if not killed:
            return number
    return len(steps)


@needs_fork
def test_killed_at_some_steps(run, tmp_path):
    steps = sorted(random.Random(0).sample(range(170), 12))
    assert check_steps(run, tmp_path, steps) > 6


@pytest.mark.slow
@needs_fork
def test_killed_at_every_step(run, tmp_path):
    assert check_steps(run, tmp_path, range(1000)) > 100


@needs_fork
def test_killed_while_a_shard_is_done_again(run, videos, tmp_path, make_frames):
    """The committed shard stays until its successor is whole."""
    run()
    write_video(videos / "a.mp4", make_frames(33))
    run("whole")
    generator = random.Random(1)
    for _ in range(8):
        killed_at(run, tmp_path / "store", generator.randrange(5, 60))
        layout = StoreLayout.read(tmp_path / "store")
        for shard in range(N):
            assert read_shard_records(layout, shard) is not None or list(
                layout.shard_folder(shard).glob(".unfinished/tracks/*/video.json")
            )
    run()
    assert essence(tmp_path / "store") == essence(tmp_path / "whole")


@pytest.fixture
def remote(tmp_path):
    fs = fsspec.filesystem("memory")
    yield "memory://store"
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


def test_store_at_a_url(run, videos, tmp_path, remote):
    run("local")
    scratch = tmp_path / "scratch"
    options = {"num_workers": 0, "shards": N, "scratch": scratch}
    prepare_videos(videos, remote, **options)
    fs = fsspec.filesystem("memory")
    for name, content in contents(tmp_path / "local").items():
        if not name.endswith(".lock"):
            assert fs.cat_file(f"/store/{name}") == content
    assert not list(scratch.rglob("*.mov"))
    again = prepare_videos(videos, remote, **{**options, "shards": None})
    assert again.num_finished_before == 6


def test_url_alone_makes_one_shard(videos, remote, tmp_path, fake_faces):
    prepare_videos(videos, remote, num_workers=0, scratch=tmp_path / "scratch")
    assert StoreLayout.read(remote).num_shards == 1


def test_two_processes_at_once_make_one_store(run, tmp_path):
    """Both begin it; each prepares its own shards."""
    run("whole")
    threads = [threading.Thread(target=run, kwargs={"shard": s}) for s in range(N)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    merge_shards(tmp_path / "store")
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")
