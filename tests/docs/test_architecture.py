"""docs/architecture.md agrees with the code."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def rows(heading):
    """The cells of the table below a heading, without its head."""
    section = TEXT.split(f"## {heading}\n", maxsplit=1)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


def plan():
    path = ROOT / "tests" / "test_rooms.py"
    spec = importlib.util.spec_from_file_location("plan_of_rooms", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MAY_IMPORT


def test_architecture__rooms_are_those_of_the_plan():
    table = {
        room.strip("`"): set(imports.split(", ")) - {""}
        for room, _, imports in rows("Rooms")
    }
    assert table == {room: set(names.split()) for room, names in plan().items()}


def test_architecture__every_question_has_a_file():
    answers = dict(rows("Where is …?"))
    assert len(answers) >= 12
    for question, answer in answers.items():
        files = re.findall(r"\]\(\.\./([^)]+)\)", answer)
        assert files, question
        assert all((ROOT / file).is_file() for file in files), question
