"""Tables as files."""

import csv

from lightly_marlin.evaluation.results.table_files import markdown_table, write_csv

ROWS = [{"name": "a|b", "value": "1"}, {"name": "c", "value": ""}]


def test_markdown_table():
    expected = "| name | value |\n| --- | --- |\n| a\\|b | 1 |\n| c |   |\n"
    assert markdown_table(ROWS) == expected


def test_write_csv__read_back(tmp_path):
    write_csv(tmp_path / "x.csv", ROWS)
    with (tmp_path / "x.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == ROWS
