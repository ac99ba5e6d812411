"""Public names of the room, whatever was imported before them."""

import importlib.util
import types

import pytest

import lightly_marlin.evaluation as evaluation


@pytest.mark.parametrize("name", evaluation.__all__)
def test_evaluation__public_names_are_no_modules(name):
    # A module of the same name, once imported, would take the place of the function.
    module = f"lightly_marlin.evaluation.{name}"
    if importlib.util.find_spec(module) is not None:
        importlib.import_module(module)
    assert not isinstance(getattr(evaluation, name), types.ModuleType)


def test_evaluation__unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'linear_prob'"):
        evaluation.linear_prob  # noqa: B018
