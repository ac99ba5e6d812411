"""A run that is killed and started again leaves what one run leaves, byte for byte."""

import os
import shutil
import signal

import pytest

from lightly_marlin.features import ExtractionOptions, extract_folder, extract_store
from lightly_marlin.features.feature_ledger import FeatureLedger
from lightly_marlin.features.joined_table import write_joined_table
from lightly_marlin.preparation import prepare_videos

MODES = {
    "windows": {},
    "reference": {"reference_windows": True},
    "mean": {"reduction": "mean"},
    "max": {"reduction": "max"},
    "tokens": {"keep_seq": True},
    "half": {"keep_seq": True, "pool_tokens": 2, "dtype": "float16"},
    "faces": {"crop_face": True, "all_faces": True},
}

MOMENTS = ["second window", "sixth window", "while writing", "before the journal"]


@pytest.fixture
def videos(tmp_path, save, make_frames):
    for index, count in enumerate((70, 3, 100, 40)):
        save(f"videos/{index}.mkv", make_frames(count, seed=index))
    save("videos/dark.mkv", make_frames(20, face=False))
    (tmp_path / "videos" / "text.mp4").write_text("no video")
    return tmp_path / "videos"


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def arrange_death(moment, encoder, monkeypatch):
    """Makes this process kill itself at a moment of its run."""
    if moment == "while writing":
        monkeypatch.setattr(shutil, "copyfileobj", die)
    elif moment == "before the journal":
        add = FeatureLedger.add

        def dying(self, record):
            return die() if len(self.records) == 1 else add(self, record)

        monkeypatch.setattr(FeatureLedger, "add", dying)
    else:
        last, calls = ("second", "sixth").index(moment.split()[0]) * 4 + 2, []
        for name in ("encode", "forward"):
            method = getattr(type(encoder), name)

            def encode(self, *args, method=method):
                calls.append(1)
                return die() if len(calls) == last else method(self, *args)

            monkeypatch.setattr(type(encoder), name, encode)


def killed_run(moment, encoder, monkeypatch, run):
    """Runs in a process of its own, which dies."""
    child = os.fork()
    if child == 0:
        arrange_death(moment, encoder, monkeypatch)
        run()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status), "it was to be killed"


def contents(folder):
    """All files with their bytes, but for the journal, whose order is that of work."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if path.name != "progress.jsonl"
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are killed in a fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("file_format", ["npy", "safetensors"])
@pytest.mark.parametrize("name", MODES)
def test_same_bytes(
    name, file_format, moment, videos, encoder, bright_faces, tmp_path, monkeypatch
):
    options = ExtractionOptions(**MODES[name])

    def run(out):
        summary = extract_folder(
            encoder, videos, out, options=options, file_format=file_format
        )
        if not options.keep_seq:
            write_joined_table(out, summary.records)
        return summary

    out, whole = tmp_path / "out", tmp_path / "whole"
    killed_run(moment, encoder, monkeypatch, lambda: run(out))
    resumed = run(out)
    run(whole)
    finished = {"sixth window": 2, "before the journal": 1}
    if name == "windows":
        assert resumed.num_finished_before == finished.get(moment, 0)
    assert contents(out) == contents(whole)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are killed in a fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("from_store", [False, True])
def test_same_bytes_of_stretches_and_stores(
    from_store, moment, videos, encoder, fake_faces, tmp_path, monkeypatch
):
    segments = {"2.mkv": [(0.0, 0.3), (3.7, None)]}
    if from_store:
        prepare_videos(videos, tmp_path / "store", num_workers=0, all_faces=True)

    def run(out):
        if from_store:
            return extract_store(encoder, tmp_path / "store", out, segments=segments)
        return extract_folder(encoder, videos, out, segments=segments)

    out, whole = tmp_path / "out", tmp_path / "whole"
    killed_run(moment, encoder, monkeypatch, lambda: run(out))
    run(out)
    run(whole)
    assert contents(out) == contents(whole)
