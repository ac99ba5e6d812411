"""Every Python block of the README runs as printed."""

import re
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_readme__has_examples():
    assert len(BLOCKS) >= 4
    assert "@@" not in README.read_text()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[-1][:40])
def test_readme__block_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


def test_readme__pictures_and_links_exist():
    targets = re.findall(r"\]\(([^)#]+)\)", README.read_text())
    local = [target for target in targets if "://" not in target]
    assert local
    assert all((README.parent / target).exists() for target in local)


def test_readme__quotes_the_committed_results(monkeypatch):
    monkeypatch.syspath_prepend(str(README.parent / "recipes" / "benchmarks"))
    monkeypatch.delitem(sys.modules, "readme_table", raising=False)
    import readme_table

    assert readme_table.make_table("amd-epyc-2-cores") in README.read_text()
