import json

import pytest

from lightly_marlin.utils.dependency import require


def test_require__returns_the_module():
    assert require("json", purpose="testing") is json


def test_require__says_how_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    message = r'needs dlib\. Install it with: pip install "lightly-marlin\[faces\]"'
    with pytest.raises(ModuleNotFoundError, match=message):
        require("dlib", purpose="Finding faces")
