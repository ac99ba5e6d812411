"""Every protocol has its name in the result, and its function in the package."""

import pytest

import lightly_marlin.evaluation as evaluation
from lightly_marlin.evaluation.probes.protocols import PROTOCOLS, TOKEN_PROTOCOLS


@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocols__name_and_function(make_problem, name):
    problem = make_problem(count=60, tokens=2 if name in TOKEN_PROTOCOLS else None)
    options = {"epochs": 5} if name == "released" else {}
    result = PROTOCOLS[name](
        problem.features, problem.table, 3, folds=[problem.fold], draws=5, **options
    )
    assert result.protocol["name"] == name
    assert result.seed == 3
    assert getattr(evaluation, f"{name}_probe") is PROTOCOLS[name]
