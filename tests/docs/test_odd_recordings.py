"""docs/odd-recordings.md names tests that exist."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TEXT = (TESTS.parent / "docs" / "odd-recordings.md").read_text(encoding="utf-8")


def test_odd_recordings__every_row_names_a_test():
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| what ")]
    assert len(rows) > 30
    for row in rows:
        (named,) = re.findall(r"`([\w/]+\.py)::(\w+)` \|$", row)
        tree = ast.parse((TESTS / named[0]).read_text(encoding="utf-8"))
        functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        assert named[1] in functions, row
