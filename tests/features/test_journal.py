import json

import pyarrow.parquet as pq
import pytest

from lightly_marlin.features.journal import FeatureRow, Journal, VideoEntry

ROWS = (FeatureRow("a_000", 0, 0, 0.0, 16), FeatureRow("a_000", 1, 32, 1.28, 16))
OK = VideoEntry("a.mp4", "ok", "a.npy", None, 64, ROWS, {"size": 3})
BAD = VideoEntry("b.mp4", "failed", None, "no video")
DARK = VideoEntry("c.mp4", "no_face", "c.npy", "no face", 20)


def test_entries_survive(tmp_path):
    journal = Journal(tmp_path / "deep")
    for entry in (OK, BAD):
        journal.add(entry)
    journal.close()
    assert Journal(tmp_path / "deep").entries == {"a.mp4": OK, "b.mp4": BAD}


@pytest.mark.parametrize("rest", ["", '{"source": "c.mp4", "sta', "[1]\n", "{}\n"])
def test_what_was_cut_off_is_forgotten_and_nothing_else(rest, tmp_path):
    journal = Journal(tmp_path)
    journal.add(OK)
    journal.close()
    with (tmp_path / "progress.jsonl").open("a") as file:
        file.write(rest)
    journal = Journal(tmp_path)
    assert journal.entries == {"a.mp4": OK}
    journal.add(BAD)
    journal.close()
    assert Journal(tmp_path).entries == {"a.mp4": OK, "b.mp4": BAD}


def test_index_and_report(tmp_path):
    journal = Journal(tmp_path)
    for entry in (OK, BAD, DARK, VideoEntry("other.mp4", "ok", "other.npy")):
        journal.add(entry)
    journal.write_index(["a.mp4", "b.mp4", "c.mp4", "not yet.mp4"])
    index = pq.read_table(tmp_path / "index.parquet").to_pylist()
    assert index[1] == {
        "source": "a.mp4",
        "track_id": "a_000",
        "file": "a.npy",
        "row": 1,
        "start_frame": 32,
        "start_seconds": 1.28,
        "num_frames": 16,
    }
    assert len(index) == 2
    report = json.loads((tmp_path / "report.json").read_text())
    assert [v["status"] for v in report["videos"]] == ["ok", "failed", "no_face"]
    assert report["totals"] == {
        "videos": 3,
        "ok": 1,
        "no_face": 1,
        "failed": 1,
        "rows": 2,
        "tracks": 1,
        "frames": 84,
    }


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be written"):
        Journal(tmp_path / "file" / "out")


def test_two_processes_do_not_mix(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(ValueError, match="Another process is writing"):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path)
