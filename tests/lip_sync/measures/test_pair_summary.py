"""Rows of the table: means with intervals, medians of offsets, what is left out."""

import math

import pytest

from lightly_marlin.lip_sync import PairRecord, summarise_pairs
from lightly_marlin.lip_sync.measures.pair_table import show, video_rows
from lightly_marlin.utils.console import console


def record(number, **generated):
    real = {"lse_d": 6.0 + number, "offset": float(number - 2)}
    return PairRecord(f"v{number}", real=real, generated={**real, **generated})


RECORDS = [
    *(record(n, lse_d=7.0 + n, l1_face=0.01 * n, ssim_face=0.9) for n in range(6)),
    PairRecord("bad", reason="real: has no audio stream"),
]


def test_summary__means_medians_and_intervals():
    rows = summarise_pairs(RECORDS)
    assert rows["real"]["lse_d"].value == pytest.approx(8.5)
    assert rows["generated"]["lse_d"].value == pytest.approx(9.5)
    low, high = rows["generated"]["lse_d"].interval
    assert 7 < low < 9.5 < high < 12
    # The same draws of videos in both rows.
    assert rows["real"]["lse_d"].interval == pytest.approx((low - 1, high - 1))
    assert rows["real"]["offset"] == (0, None, 6)
    assert rows["generated"]["l1_face"].value == pytest.approx(0.025)
    assert rows["real"]["l1_face"] == (0, None, 6)
    assert rows["real"]["ssim_face"] == (1, None, 6)


def test_summary__no_interval_of_four_videos_and_counts_by_measure():
    rows = summarise_pairs([*RECORDS[:3], record(3)])
    assert rows["generated"]["lse_d"].interval is None
    assert rows["generated"]["lse_d"].videos == 4
    assert rows["generated"]["l1_face"].videos == rows["real"]["l1_face"].videos == 3


def test_show__ground_truth_is_first():
    with console.capture() as capture:
        show(summarise_pairs(RECORDS), 6)
    lines = [line.split() for line in capture.get().splitlines() if line.strip()]
    rows = [line for line in lines if line[0] in ("ground", "generated", "95")]
    assert rows[0] == ["ground", "truth", "8.500", "0"]
    assert rows[1][:2] == ["95", "%"]
    assert rows[2] == ["generated", "9.500", "0"]
    assert rows[4] == ["ground", "truth", "0", "1"]
    assert rows[5] == ["generated", "0.0250", "0.900"]
    assert not any("expert" in " ".join(line) for line in lines)


def test_video_rows__have_the_same_columns():
    rows = video_rows(RECORDS)
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    assert rows[1]["lse_d_generated"] == "8"
    assert rows[1]["lse_d_real"] == "7"
    assert rows[-1]["reason"] == "real: has no audio stream"
    assert rows[-1]["seconds"] == rows[-1]["lse_d_real"] == ""
    assert math.isclose(float(rows[2]["l1_face_generated"]), 0.02)
