import json

import pyarrow.parquet as pq
import pytest

from lightly_marlin.features.feature_ledger import (
    FeatureLedger,
    FeatureRecord,
    FeatureRow,
    read_journal,
)

ROWS = (FeatureRow("a_000", 0, 0, 0.0, 16), FeatureRow("a_000", 1, 32, 1.28, 16))
PLACED = FeatureRow("a_000", 0, 3, 0.12, 4, 0.24, 61.5, None, 0.5)
PRINT = {"size": 3, "detector": "auto", "align_eyes": False, "windows": 2}
PRINT |= {"pool_tokens": 1, "dtype": "float32"}
OK = FeatureRecord("a.mp4", "ok", None, 64, ROWS, False, PRINT, file="a.npy")
BAD = FeatureRecord("b.mp4", "failed", "no video", retry=True, fingerprint=PRINT)
DARK = FeatureRecord("c.mp4", "no_face", "no face", 20, file="c.npy")
OTHER = FeatureRecord("other.mp4", "ok", file="other.npy")

# Columns of earlier releases.
EARLIER = ("track_id", "row", "start_frame", "start_seconds", "num_frames")


@pytest.fixture
def folder(tmp_path):
    """A folder with the files that the records name."""
    for record in (OK, DARK, OTHER):
        (tmp_path / record.file).touch()
    return tmp_path


def add(folder, *records, **options):
    """Writes records to the ledger of a folder."""
    with FeatureLedger(folder, **options) as ledger:
        for record in records:
            ledger.add(record)


def records_of(folder):
    with FeatureLedger(folder) as ledger:
        return ledger.records


def test_records_survive(folder):
    add(folder, OK, BAD)
    assert records_of(folder) == {"a.mp4": OK, "b.mp4": BAD}


def test_rows_of_stretches_survive(folder):
    record = FeatureRecord("a.mp4", "ok", rows=(PLACED,), file="a.npy")
    add(folder, record)
    assert records_of(folder)["a.mp4"].rows == (PLACED,)
    (row,) = pq.read_table(folder / "index.parquet").to_pylist()
    assert (row["middle_seconds"], row["face_width"]) == (0.24, 61.5)
    assert (row["stretch_start"], row["stretch_end"]) == (None, 0.5)


def test_read_journal__without_a_lock(folder, tmp_path):
    assert read_journal(tmp_path / "nowhere") == {}
    with FeatureLedger(folder) as ledger:
        ledger.add(OK)
        assert read_journal(folder) == {"a.mp4": OK}


def test_a_record_whose_file_is_gone_does_not(folder):
    add(folder, OK, BAD)
    (folder / "a.npy").unlink()
    assert records_of(folder) == {"b.mp4": BAD}


@pytest.mark.parametrize("rest", ["", '{"source": "c.mp4", "sta', "[1]\n", "{}\n"])
def test_what_was_cut_off_is_forgotten_and_nothing_else(rest, folder):
    add(folder, OK)
    with (folder / "progress.jsonl").open("a") as file:
        file.write(rest)
    assert records_of(folder) == {"a.mp4": OK}
    add(folder, BAD)
    assert records_of(folder) == {"a.mp4": OK, "b.mp4": BAD}


def test_journals_of_earlier_releases(folder):
    """They say neither what is to be tried again nor what could not be chosen."""
    lines = []
    for record in (OK, BAD):
        rows = [{name: vars(row)[name] for name in EARLIER} for row in record.rows]
        line = {**vars(record), "rows": rows, "fingerprint": {"size": 3}}
        del line["retry"]
        lines.append(json.dumps(line) + "\n")
    (folder / "progress.jsonl").write_text("".join(lines))
    assert records_of(folder) == {"a.mp4": OK, "b.mp4": BAD}


def test_index_and_report(folder):
    sources = ["a.mp4", "b.mp4", "c.mp4", "not yet.mp4"]
    add(folder, OK, BAD, DARK, OTHER, sources=sources)
    index = pq.read_table(folder / "index.parquet").to_pylist()
    assert index[1] == {
        "source": "a.mp4",
        "track_id": "a_000",
        "file": "a.npy",
        "row": 1,
        "start_frame": 32,
        "start_seconds": 1.28,
        "num_frames": 16,
        "middle_seconds": None,
        "face_width": None,
        "stretch_start": None,
        "stretch_end": None,
    }
    assert len(index) == 2
    report = json.loads((folder / "report.json").read_text())
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


def test_superseded_files_go_but_not_those_of_others(folder):
    add(folder, OK, OTHER)
    add(folder, FeatureRecord("a.mp4", "ok", file="other.npy"))
    assert not (folder / "a.npy").exists()
    add(folder, FeatureRecord("a.mp4", "failed", retry=True))
    assert (folder / "other.npy").exists()


@pytest.mark.parametrize("crop_face", [True, False])
def test_crop_options_are_noted_where_faces_are_cropped(crop_face, folder):
    crops = {"pipeline": 2, "min_face": 40, "detector": "auto", "align_eyes": True}
    fingerprint = {**crops, "crop_face": crop_face, "stride": 8}
    add(folder, FeatureRecord("a.mp4", "ok", rows=ROWS, fingerprint=fingerprint))
    expected = crops if crop_face else None
    assert json.loads((folder / "report.json").read_text())["crops"] == expected
    metadata = pq.read_schema(folder / "index.parquet").metadata
    assert json.loads(metadata[b"lightly_marlin.crops"]) == expected
