"""Ledger with the simplest records there are: one JSON file each."""

import json
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lightly_marlin.jobs import JobRecord, Ledger
from lightly_marlin.jobs import ledger as ledger_module
from lightly_marlin.utils.errors import UsageError


@dataclass(frozen=True)
class Row:
    track_id: str
    start: int


class PlainLedger(Ledger):
    kind = "plain folder"

    def _load(self):
        for path in self.path.glob("*.record"):
            values = json.loads(path.read_text())
            rows = tuple(Row(**row) for row in values.pop("rows"))
            yield JobRecord(rows=rows, **values)

    def _commit(self, record):
        path = self.path / f"{record.source}.record"
        path.write_text(json.dumps(asdict(record)))
        return record

    def _schema(self):
        return pa.schema([("track_id", pa.string()), ("start", pa.int64())])

    def _notes(self, records):
        return {"rows": sum(len(record.rows) for record in records)}


ROWS = (Row("b_000", 0), Row("b_001", 7), Row("b_001", 9))
B = JobRecord("b", "ok", None, 20, ROWS, fingerprint={"size": 1})
A = JobRecord("a", "failed", "gone", 4, retry=True, fingerprint={"size": 2})
C = JobRecord("c", "no_face", "no face", 8, fingerprint={"size": 3})


def fill(folder, *records, **options):
    with PlainLedger(folder, **options) as ledger:
        for record in records:
            ledger.add(record)
    return ledger


def test_index_and_report(tmp_path):
    fill(tmp_path / "deep" / "x", B, A, C)
    table = pq.read_table(tmp_path / "deep" / "x" / "index.parquet")
    assert table.to_pylist() == [vars(row) for row in ROWS]
    assert table.schema.metadata[b"lightly_marlin.rows"] == b"3"
    report = json.loads((tmp_path / "deep" / "x" / "report.json").read_text())
    assert [video["source"] for video in report["videos"]] == ["a", "b", "c"]
    assert report["videos"][1] == {
        "source": "b",
        "status": "ok",
        "tracks": 2,
        "frames": 20,
        "reason": None,
    }
    totals = {"videos": 3, "ok": 1, "no_face": 1, "failed": 1}
    assert report["totals"] == {**totals, "tracks": 2, "frames": 32}
    assert report["rows"] == 3


def test_the_report_is_of_the_chosen_videos(tmp_path):
    fill(tmp_path, A, B, C, sources=["c", "later"])
    report = json.loads((tmp_path / "report.json").read_text())
    assert [video["source"] for video in report["videos"]] == ["c"]
    fill(tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["totals"]["videos"] == 3


@pytest.mark.parametrize(
    ("size", "source", "expected"),
    [(1, "b", []), (2, "b", ["b"]), (2, "a", ["a"]), (3, "c", []), (1, "d", ["d"])],
)
def test_unfinished(size, source, expected, tmp_path):
    """New ones, changed ones, and those whose failure may pass."""
    fill(tmp_path, A, B, C)
    with PlainLedger(tmp_path) as ledger:
        assert ledger.unfinished({source: {"size": size}}) == expected


def test_summary(tmp_path):
    fill(tmp_path, B)
    with PlainLedger(tmp_path) as ledger:
        ledger.add(C)
        summary = ledger.summary(["b", "c"], 1)
    assert summary.records == (B, C)
    assert (summary.num_finished_before, summary.num_frames) == (1, 8)
    assert (summary.num_tracks, summary.num_rows) == (2, 3)
    assert summary.with_status("no_face") == [C]
    assert summary.seconds > 0


def test_closing_table(tmp_path):
    summary = fill(tmp_path, A, B, C).summary(["a", "b", "c"], 3)
    table = summary.table("Work", [("things", "7")])
    labels, values = (list(column.cells) for column in table.columns)
    assert labels[3:] == ["  failed", "  finished before", "things", "seconds"]
    assert values[:6] == ["3", "1", "1", "1", "0", "7"]


def test_an_error_keeps_what_was_added_and_gives_the_lock_back(tmp_path):
    def work():
        with PlainLedger(tmp_path) as ledger:
            ledger.add(B)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    with PlainLedger(tmp_path) as ledger:
        assert ledger.records == {"b": B}
        with pytest.raises(UsageError, match="writing to the plain folder"):
            PlainLedger(tmp_path)


def test_an_error_while_opening_gives_the_lock_back(tmp_path):
    (tmp_path / "bad.record").write_text("{")
    with pytest.raises(ValueError, match="Expecting"):
        PlainLedger(tmp_path)
    (tmp_path / "bad.record").unlink()
    fill(tmp_path)


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    message = r"The plain folder .* cannot be written: Not a directory"
    with pytest.raises(UsageError, match=message):
        PlainLedger(tmp_path / "file" / "x")
    with pytest.raises(UsageError, match="The path of the plain folder is empty"):
        PlainLedger("")


def test_the_index_is_written_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_module, "_FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(ledger_module, "_FLUSH_SHARE", float("inf"))
    with PlainLedger(tmp_path) as ledger:
        ledger.add(B)
        assert len(pq.read_table(tmp_path / "index.parquet")) == 3


def test_what_killed_writers_left_is_removed(tmp_path):
    for name in (".index-x1.parquet", ".report-x1.json"):
        (tmp_path / name).touch()
    fill(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {".lock", "index.parquet", "report.json"}
