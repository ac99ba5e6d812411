import json

import pytest

from lightly_marlin.utils.dependency import (
    EXTRAS,
    MissingExtraError,
    require,
    require_extras,
)


def test_require__returns_the_module():
    assert require("json", purpose="testing") is json


def test_require__says_how_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    message = r'needs dlib\. Install it with: pip install "lightly-marlin\[faces\]"'
    with pytest.raises(ModuleNotFoundError, match=message):
        require("dlib", purpose="Finding faces")


def test_require__names_the_package_where_no_extra_brings_it():
    with pytest.raises(MissingExtraError, match=r"needs absent\. .* install absent$"):
        require("absent.loggers", "Logging")


@pytest.mark.parametrize("extra", EXTRAS)
def test_require_extras__all_is_there(extra, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    require_extras("Testing", extra)


def test_require_extras__names_all_that_is_missing_and_nothing_else(monkeypatch):
    def find_spec(name):
        if name == "dlib":
            raise ModuleNotFoundError(name)
        return None if name in ("av", "transformers") else name

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    with pytest.raises(MissingExtraError) as caught:
        require_extras("Testing", "faces", "hf", "plots")
    assert str(caught.value) == (
        "Testing needs av, dlib, transformers. Install it with: "
        'pip install "lightly-marlin[faces,hf]"'
    )
