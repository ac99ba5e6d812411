"""Public names of the room, whatever was imported before them."""

import importlib.util
import types

import pytest

from lightly_marlin import lip_sync


@pytest.mark.parametrize("name", lip_sync.__all__)
def test_lip_sync__public_names_are_no_modules(name):
    module = f"lightly_marlin.lip_sync.{name}"
    if importlib.util.find_spec(module) is not None:
        importlib.import_module(module)
    assert not isinstance(getattr(lip_sync, name), types.ModuleType)


def test_lip_sync__unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lip_sync.nothing
