import pytest

from lightly_marlin.lip_sync import SyncWeight


def test_switches_once_and_for_good():
    weight = SyncWeight()
    values = [weight.value]
    switched = []
    for loss in (2.0, float("nan"), 0.75, 0.74, 0.9, 0.1):
        switched.append(weight.update(loss))
        values.append(weight.value)
    assert values == [0, 0, 0, 0, 0.01, 0.01, 0.01]
    assert switched == [False, False, False, True, False, False]


def test_own_weight_and_threshold():
    weight = SyncWeight(0.03, threshold=0.5)
    assert not weight.update(0.6)
    assert weight.update(0.4)
    assert weight.value == 0.03


@pytest.mark.parametrize("loss", [0.9, 0.1])
def test_state_comes_back(loss):
    weight, other = SyncWeight(), SyncWeight(0.03)
    weight.update(loss)
    other.load_state_dict(weight.state_dict())
    assert other.value == (0.03 if loss < 0.75 else 0)
    assert other.update(0.2) == (loss > 0.75)


def test_errors():
    with pytest.raises(ValueError, match="Invalid weight 0: must be positive"):
        SyncWeight(0)
    with pytest.raises(ValueError, match="Invalid threshold nan"):
        SyncWeight(threshold=float("nan"))
