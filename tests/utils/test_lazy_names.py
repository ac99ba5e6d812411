import json

import pytest

from lightly_marlin.utils.lazy_names import lazy_names


def test_lazy_names__from_the_package_and_around_it():
    load = lazy_names("json", {"JSONDecoder": "decoder"})
    assert load("JSONDecoder") is json.JSONDecoder
    around = lazy_names("importlib.metadata", {"find_spec": ".util"})
    assert around("find_spec").__module__ == "importlib.util"


def test_lazy_names__unknown_name():
    load = lazy_names("json", {"JSONDecoder": "decoder"})
    with pytest.raises(AttributeError, match="'json' has no attribute 'JSONDecode'"):
        load("JSONDecode")
