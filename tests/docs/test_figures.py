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
    names = {path.name for path in tables}
    assert names == {"README.md", "benchmarks.md", "scale.md"}
    for path, table in tables.items():
        text = path.read_text(encoding="utf-8")
        assert readme_table.replace_table(text, table) == text
        assert table in text


def test_figures__readme_has_five_rows_of_the_page(readme_table):
    short, full, _ = readme_table.make_tables(MACHINE).values()
    rows = [line for line in short.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 5
    assert set(rows) <= set(full.splitlines())


def test_fake_rows__say_what_the_result_says(readme_table):
    def row(interval):
        score = {"value": 0.75, "interval": interval, "constant": 0.4}
        return {"80": {"videos": 50, "pairs": 5, "auc/flat": score}}

    result = {
        "clips": 70,
        "image_size": 64,
        "weights": {
            "model": "m",
            "image_size": 96,
            "objectives": {"a": 1.0, "b": 0.5},
            "mask": "tube",
            "steps": 7,
        },
        "probe": {
            "pretrained": row([0.6, 0.9]),
            "random": row([None, None]),
            "pretrained, grid": row([0.6, 0.9]),
        },
        "fine-tuned": {},
    }
    rows = readme_table.fake_rows(result)
    assert len(rows) == 3
    assert "grid probe on features of m after" in rows["fakes pretrained, grid"]
    pretrained, random = rows["fakes pretrained"], rows["fakes random"]
    assert "70 demo clips, exact probe on features of m after 7 steps" in pretrained
    assert "steps of a and b, mask tube, at 96 pixels" in pretrained
    assert "(5 pairs) by" in pretrained
    assert "0.75 (0.60 to 0.90) at 80 | 0.40 constant" in pretrained
    assert "random initialisation at 64 pixels" in random
    assert "(5 pairs, too few for an interval)" in random
    assert "0.75 at 80" in random
    tuned = {"pretrained": row([0.6, 0.9]), "random": row([0.6, 0.9])}
    more = {"fine_tuning": {"epochs": 60}, "fine-tuned": tuned}
    (*_, first, second) = readme_table.fake_rows({**result, **more}).values()
    assert "clips, fine-tuned from m after 7 steps" in first
    assert "at 96 pixels, 60 epochs, AUC of 50" in first
    assert "fine-tuned from random initialisation at 64 pixels, 60 epochs" in second
    unknown = {"objectives": None, "mask": None, "steps": None}
    weights = {**result["weights"], **unknown}
    (other, *_) = readme_table.fake_rows({**result, "weights": weights}).values()
    assert "m after a training of another kind, at 96 pixels" in other


def test_mask_rows__say_what_the_result_says(readme_table):
    def metrics(mean):
        return {"metrics": {"auc": {"mean": mean, "sd": 0.01}}}

    probed = {"mask=a": metrics(0.6), "random": metrics(0.5), "pixels": metrics(0.7)}
    probe = {"primary": "auc", "rows": probed}
    constant = {"auc": {"mean": 0.4, "sd": 0.0}}
    settings = {"image_size": 64, "mask": "a"}
    ablation = {
        "seeds": [1, 2],
        "rows": {"mask=a": {"model": "m", "settings": settings}},
        "probes": {"demo": {**probe, "constant predictor": constant}},
    }
    result = {"steps": 7, "demo_clips": 12, "ablation": ablation}
    (row,) = readme_table.mask_rows(result).values()
    assert "labels of 12 demo clips, frozen m after 7 steps at 64 pixels" in row
    assert "mask a: mean AUC ± deviation over 2 seeds | 0.600 ± 0.010 |" in row


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
        "histograms": "pixels=1 histograms=0.1",
        "visible_histograms": "pixels=1 visible_histograms=0.1",
        "contrast": "pixels=1 contrast=0.1",
    }
    for name, objectives in sets.items():
        row = re.search(rf"^\| `{name}` \|.*\| ([\d.]+)×", page, flags=re.MULTILINE)
        assert row is not None
        assert float(row[1]) == round(counts[objectives] / counts["pixels=1"], 1)
