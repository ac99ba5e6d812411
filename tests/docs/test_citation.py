"""CITATION.cff has what version 1.2.0 of the format asks for."""

from pathlib import Path

import pytest
import yaml

import lightly_marlin

ROOT = Path(__file__).parents[2]


@pytest.fixture
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_citation__required_keys(citation):
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()


def test_citation__is_of_this_version(citation):
    assert citation["version"] == lightly_marlin.__version__
    assert citation["license"] == "MIT"


def test_citation__names_the_paper_as_the_readme_does(citation):
    paper = citation["references"][0]
    names = [f"{one['family-names']}, {one['given-names']}" for one in paper["authors"]]
    assert len(names) == 8
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"author    = {{{' and '.join(names)}}}" in readme
    assert f"pages     = {{{paper['start']}--{paper['end']}}}" in readme
