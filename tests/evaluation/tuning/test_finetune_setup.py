import pytest
import torch

from lightly_marlin.evaluation.items.item_places import find_places
from lightly_marlin.evaluation.labels.splits import Fold
from lightly_marlin.evaluation.tuning.finetune_settings import FinetuneSettings
from lightly_marlin.evaluation.tuning.finetune_setup import (
    FinetuneInputs,
    build_training,
    describe_training,
)
from lightly_marlin.models import MarlinConfig, MarlinEncoder

CONFIG = MarlinConfig(img_size=32, encoder_dim=24, encoder_depth=2, encoder_num_heads=2)


@pytest.fixture
def inputs(colored_table, colored_store):
    places = find_places(colored_table, colored_store)
    fold = Fold([0, 1, 2, 4], [5, 6], [7])
    return FinetuneInputs(colored_table, colored_store, places, fold)


def build(inputs, *, settings=None, **options):
    settings = FinetuneSettings(batch_size=2, workers=0, **(settings or {}))
    settings = settings.completed(inputs.table.target, clips=4, depth=2)
    module, data = build_training(settings, inputs, MarlinEncoder(CONFIG), **options)
    return settings, module, data


def test_build_training__settings_arrive(inputs):
    given = {
        "tune": "norm",
        "mixup": 0.3,
        "drop_path": 0.4,
        "sample_rate": 3,
        "batch_norm": True,
        "crop_scale": 0.6,
    }
    _, module, data = build(inputs, settings={**given, "devices": 4}, flip=0.0)
    assert module.tune == "norm"
    assert module.mixup == 0.3
    assert module.model.encoder.blocks[1].drop_path1.drop_prob == 0.4
    assert module.augmentation.flip == 0
    assert module.augmentation.crop_scale == (0.6, 1)
    assert module.model.norm is not None
    # 1e-4 with 2 clips on each of 4 devices.
    assert module.rate == pytest.approx(1e-4)
    assert data.clips.stride == module.model.sample_rate == 3
    assert module.model.crop_options == inputs.store.crop_options


def test_build_training__begins_at_the_constant(inputs):
    _, module, _ = build(inputs)
    torch.testing.assert_close(module.model.head.bias.sigmoid(), torch.tensor([0.25]))


def test_build_training__balanced_classes_begin_alike(inputs):
    _, module, data = build(inputs, balanced=True)
    assert module.model.head.bias.tolist() == [0]
    assert data.weights is not None


def test_build_training__same_seed_same_head(inputs):
    _, first, _ = build(inputs)
    torch.manual_seed(7)
    _, again, _ = build(inputs)
    assert torch.equal(first.model.head.weight, again.model.head.weight)


def test_describe_training__counts(inputs, capsys):
    settings, _, data = build(inputs)
    describe_training(settings, inputs, data)
    shown = capsys.readouterr().out
    for text in ("4 train, 2 val, 1 test", "30 epochs of 2", "binary: red", "none"):
        assert text in shown
