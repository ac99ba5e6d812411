import pytest

from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.tuning.finetune_settings import FinetuneSettings
from lightly_marlin.training import scale_rate
from lightly_marlin.utils.errors import UsageError

BINARY = Target("binary", ("x",))


def completed(target=BINARY, clips=100, depth=12, fine_traces=False, **given):
    settings = FinetuneSettings(**given)
    return settings.completed(target, clips=clips, depth=depth, fine_traces=fine_traces)


def test_completed__few_clips_and_many():
    few, many = completed(clips=4999), completed(clips=5000)
    assert (few.drop_path, few.dropout) == (0.2, 0.5)
    assert (many.drop_path, many.dropout) == (0.1, 0.0)


def test_completed__depth():
    tiny, base = completed(depth=4), completed(depth=12)
    assert (tiny.layer_decay, base.layer_decay) == (0.65, 0.75)
    assert (tiny.drop_path, base.drop_path) == (0, 0.2)


def test_completed__mixing():
    assert completed().mixup == 0.8
    assert completed(Target("regression", ("x",))).mixup == 0
    assert completed(fine_traces=True).mixup == 0


def test_completed__resizing_would_blur_fine_traces():
    assert completed().crop_scale == 0.8
    assert completed(fine_traces=True).crop_scale == 1


def test_completed__batch_norm_of_enough_clips():
    assert completed().batch_norm is True
    assert completed(batch_size=7).batch_norm is False
    assert completed(batch_size=2, batch_norm=True).batch_norm is True


@pytest.mark.parametrize(
    ("batch", "devices", "peak"),
    [(8, 1, 1e-4), (8, 4, 1e-4), (64, 1, 1.25e-4), (256, 2, 1e-3)],
)
def test_completed__peak_rate_is_at_least_1e_4(batch, devices, peak):
    settings = completed(batch_size=batch, devices=devices)
    rate = scale_rate(settings.learning_rate, batch * devices)
    assert rate == pytest.approx(peak)


def test_completed__what_was_given_stays():
    given = {
        "learning_rate": 0.0,
        "layer_decay": 1.0,
        "drop_path": 0.0,
        "dropout": 0.0,
        "batch_norm": False,
        "crop_scale": 0.5,
        "mixup": 0.0,
    }
    settings = completed(**given)
    assert {name: getattr(settings, name) for name in given} == given


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"layer_decay": 0.0}, r"Invalid layer_decay 0.0: must be in \(0, 1\]"),
        ({"drop_path": 1.0}, r"Invalid drop_path 1.0: must be in \[0, 1\)"),
        ({"precision": "64"}, r"Invalid precision \(64\). Supported values are 32"),
        ({"epochs": 0}, "Invalid epochs 0: must be at least 1"),
        ({"crop_scale": 0.0}, r"Invalid crop_scale 0.0: must be in \(0, 1\]"),
        ({"batch_norm": True, "batch_size": 1}, "One clip has no spread"),
    ],
)
def test_finetune_settings__invalid(given, message):
    with pytest.raises(UsageError, match=message):
        FinetuneSettings(**given)
