import math

import pytest

from lightly_marlin.training import WarmupCosine, scale_rate
from lightly_marlin.training.schedule import schedule_of
from lightly_marlin.training.settings import PretrainSettings


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


def test_schedule_of__epochs_in_steps():
    settings = PretrainSettings(batch_size=8, epochs=10, warmup_epochs=4)
    schedule = schedule_of(settings, 100, world_size=2)
    assert (schedule.warmup_steps, schedule.total_steps) == (24, 60)
    # For 256 clips a step; this one has 16.
    assert schedule.highest == 1.5e-4 / 16
    assert schedule.minimum == 1e-5 / 16


def test_schedule_of__steps_instead_of_epochs():
    settings = PretrainSettings(schedule_steps=7, warmup_steps=3, scale_rates=False)
    schedule = schedule_of(settings, 100)
    assert (schedule.warmup_steps, schedule.total_steps) == (3, 7)
    assert schedule.highest == 1.5e-4


def test_schedule_of__fewer_clips_than_a_batch():
    settings = PretrainSettings(batch_size=16, epochs=3, warmup_epochs=40)
    schedule = schedule_of(settings, 5)
    assert (schedule.warmup_steps, schedule.total_steps) == (3, 3)
