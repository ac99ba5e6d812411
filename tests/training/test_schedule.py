import math

import pytest

from lightly_marlin.training import WarmupCosine, scale_rate


def schedule(**changes):
    options = {
        "highest": scale_rate(1.5e-4, 64),
        "minimum": scale_rate(1e-5, 64),
        "warmup_steps": 40,
        "total_steps": 2000,
    }
    return WarmupCosine(**{**options, **changes})


def test_warmup_cosine__known_values():
    rate = schedule()
    assert rate(0) == 0
    assert rate(39) == pytest.approx(1.5e-4 / 4)
    assert rate(40) == pytest.approx(1.5e-4 / 4)
    middle = (1e-5 + 0.5 * 1.4e-4 * (1 + math.cos(math.pi / 2))) / 4
    assert rate(40 + 980) == pytest.approx(middle)
    assert rate(2000) == rate(5000) == pytest.approx(1e-5 / 4)


def test_warmup_cosine__monotone_after_warmup():
    rates = [schedule()(step) for step in range(2100)]
    assert rates[:40] == sorted(rates[:40])
    assert rates[40:] == sorted(rates[40:], reverse=True)


@pytest.mark.parametrize("warmup", [0, 1])
def test_warmup_cosine__short_warmup(warmup):
    assert schedule(warmup_steps=warmup)(warmup) == pytest.approx(1.5e-4 / 4)


def test_warmup_cosine__warmup_too_long():
    with pytest.raises(ValueError, match=r"Invalid warmup_steps 3000: .* \[0, 2000\]"):
        schedule(warmup_steps=3000)
