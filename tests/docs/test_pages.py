"""Every Python block and shell command of README and docs runs as printed."""

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "kernels" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
BLOCK = re.compile(
    r"(?:<!-- (?P<mark>slow|not tested: [^>]+) -->\n)?"
    r"```(?P<language>\w*)\n(?P<text>.*?)^```$",
    flags=re.DOTALL | re.MULTILINE,
)


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks(page, language, *marks):
    """The blocks of a page in a language that carry one of the marks, in order."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [
        match["text"]
        for match in found
        if match["language"] == language and match["mark"] in marks
    ]


PYTHON = [
    pytest.param(page, text, id=f"{name_of(page)}-{number}")
    for page in PAGES
    for number, text in enumerate(blocks(page, "python", None))
]
WITH_COMMANDS = [page for page in PAGES if blocks(page, "sh", None)]
WITH_SLOW_COMMANDS = [page for page in PAGES if blocks(page, "sh", "slow")]


def run_commands(text, folder, python):
    """Runs shell commands in a folder where `recipes/` is that of the repository."""
    recipes = folder / "recipes"
    if not recipes.exists():
        recipes.symlink_to(ROOT / "recipes", target_is_directory=True)
    folders = [str(Path(path).parent) for path in (python, sys.executable)]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([*folders, os.environ["PATH"]]),
        "XDG_CACHE_HOME": str(folder / "cache"),
        # More threads than free cores wait for each other in loops.
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-euc", text],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout[-4000:]}"


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Runs a page's first commands, one a line, once for all that begin alike."""

    @functools.cache
    def run(text, python):
        folder = tmp_path_factory.mktemp("start")
        *before, last = text.splitlines(keepends=True)
        if before:
            copy(run("".join(before), python), folder)
        run_commands(last, folder, python)
        return folder

    return run


def copy(source, folder):
    shutil.copytree(source, folder, symlinks=True, dirs_exist_ok=True)


def run_page(page, marks, start, folder, python):
    """Runs the commands of a page from top to bottom in one folder."""
    first, *others = blocks(page, "sh", *marks)
    copy(start(first, python), folder)
    for text in others:
        run_commands(text, folder, python)


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_page__commands_run(page, start, tmp_path, warm_python):
    run_page(page, [None], start, tmp_path, warm_python)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_SLOW_COMMANDS, ids=name_of)
def test_page__slow_commands_run(page, start, tmp_path):
    """All commands of the page, each in a Python of its own as printed."""
    run_page(page, [None, "slow"], start, tmp_path, sys.executable)


@pytest.mark.parametrize(("page", "text"), PYTHON)
def test_page__python_block_runs(page, text):
    exec(compile(text, name_of(page), "exec"), {"__name__": "page"})


def test_pages__have_examples():
    assert len(blocks(ROOT / "README.md", "python", None)) == 1
    assert len(PYTHON) >= 12
    assert len(WITH_COMMANDS) >= 5
    assert len(WITH_SLOW_COMMANDS) >= 5


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page__commands_need_no_folder_outside(page):
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if match["language"] in ("sh", "python"):
            assert "../" not in match["text"]
    assert "@@" not in page.read_text(encoding="utf-8")


def prose(page):
    """The text of a page without its blocks, whose brackets are no links."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page__pictures_and_links_exist(page):
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), target
        assert goal == ROOT or ROOT in goal.parents, target
        if anchor:
            assert anchor in anchors(goal), target


def test_pages__each_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    names = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in names if f"]({name})" in index} == names
