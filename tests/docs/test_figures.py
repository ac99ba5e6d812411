"""README and the pages quote the committed results and nothing else."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MACHINE = "amd-epyc-2-cores"


@pytest.fixture
def readme_table(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "benchmarks"))
    monkeypatch.delitem(sys.modules, "readme_table", raising=False)
    import readme_table

    return readme_table


def test_figures__are_those_of_the_results(readme_table):
    tables = readme_table.make_tables(MACHINE)
    assert {path.name for path in tables} == {"README.md", "benchmarks.md"}
    for path, table in tables.items():
        text = path.read_text(encoding="utf-8")
        assert readme_table.replace_table(text, table) == text
        assert table in text


def test_figures__readme_has_five_rows_of_the_page(readme_table):
    short, full = readme_table.make_tables(MACHINE).values()
    rows = [line for line in short.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 5
    assert set(rows) <= set(full.splitlines())


def test_replace_table__between_the_marks_only(readme_table):
    text = "a\n<!-- figures -->\nold\n<!-- end of figures -->\nb"
    want = "a\n<!-- figures -->\n\\1 new\n<!-- end of figures -->\nb"
    assert readme_table.replace_table(text, "\\1 new") == want


def test_figures__operations_of_the_objectives():
    path = ROOT / "recipes" / "benchmarks" / "results" / "objective_costs.json"
    counts = json.loads(path.read_text())["gflop"]["marlin_vit_small"]
    page = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")
    sets = {
        "pixels": "pixels=1",
        "motion": "motion=1",
        "adversarial": "pixels=1 adversarial=0.01",
        "latent": "pixels=1 latent=0.1",
        "instance": "pixels=1 instance=0.1",
        "contrast": "pixels=1 contrast=0.1",
    }
    for name, objectives in sets.items():
        row = re.search(rf"^\| `{name}` \|.*\| ([\d.]+)×", page, flags=re.MULTILINE)
        assert row is not None
        assert float(row[1]) == round(counts[objectives] / counts["pixels=1"], 1)
