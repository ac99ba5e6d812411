import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.tuning.tuned_model import TunedModel
from lightly_marlin.models import MarlinConfig, MarlinEncoder, load_encoder
from lightly_marlin.store.crop_options import CropOptions
from lightly_marlin.utils.errors import UsageError

CONFIG = MarlinConfig(img_size=32, encoder_dim=24, encoder_depth=2, encoder_num_heads=2)


def make(kind="multiclass", names=("calm", "happy", "sad"), **options):
    torch.manual_seed(0)
    model = TunedModel(MarlinEncoder(CONFIG), Target(kind, names), **options)
    torch.nn.init.normal_(model.head.weight)
    return model.eval()


def videos(size=32):
    return torch.randint(0, 256, (2, 3, 16, size, size), dtype=torch.uint8)


def test_tuned_model__head_on_normalised_mean():
    model, clips = make(), videos()
    features = model.encoder(clips)
    expected = features @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(clips), expected)


def test_tuned_model__starts_undecided():
    model = TunedModel(MarlinEncoder(CONFIG), Target("binary", ("x",)))
    assert 1e-5 < model.head.weight.std() < 4e-5
    assert not model.head.bias.any()


def test_tuned_model__dropout_in_training_alone():
    model, clips = make(dropout=0.5), videos()
    assert torch.equal(model(clips), model(clips))
    model.train()
    assert not torch.equal(model(clips), model(clips))


def test_batch_norm__head_on_standardised_features():
    model = make(batch_norm=True)
    clips = torch.cat([videos(), videos()])
    features = model.features(clips)
    spread = (features.var(dim=0, correction=0) + 1e-6).sqrt()
    standard = (features - features.mean(dim=0)) / spread
    expected = standard @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model.train()(clips), expected, rtol=1e-3, atol=1e-3)
    # A model in half precision predicts as well.
    half = model.eval().bfloat16()
    assert half(clips[:1]).dtype == torch.bfloat16


def test_batch_norm__is_saved_with_the_model(tmp_path):
    model = make(batch_norm=True).train()
    for _ in range(3):
        model(videos())
    model.eval().save_pretrained(tmp_path / "model")
    loaded = TunedModel.from_pretrained(tmp_path / "model")
    clips = videos()
    torch.testing.assert_close(loaded(clips), model(clips))
    assert "norm.num_batches_tracked" not in load_file(
        tmp_path / "model" / "model.safetensors"
    )
    with pytest.warns(UserWarning, match="left out"):
        load_encoder(tmp_path / "model")


def test_start_at__regression_in_its_unit():
    model = make("regression", ("age", "pulse"))
    model.start_at(torch.tensor([[10.0, 5], [20, 5], [torch.nan, 5], [60, 5]]))
    assert model.offset.tolist() == [20, 5]
    # Standard deviation about the mean of 30.
    spread = ((400 + 100 + 900) / 3) ** 0.5
    torch.testing.assert_close(model.scale, torch.tensor([spread, 1.0]))
    clips = videos()
    raw = model.encoder(clips) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(clips), raw * model.scale + model.offset)


def test_start_at__predicts_the_constant():
    target = Target("multilabel", ("a", "b"))
    model = TunedModel(MarlinEncoder(CONFIG), target)
    labels = torch.tensor([[1.0, 0], [0, 0], [0, 1], [0, torch.nan]])
    before = list(model.state_dict())
    model.start_at(labels)
    scores = target.scores(model(videos()))
    expected = target.constant(labels).expand(2, -1)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-3)
    assert list(model.state_dict()) == before
    assert "scale" not in before


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_save_pretrained__round_trip(tmp_path, kind):
    crops = CropOptions(min_face=60).crops()
    model = make(kind, sample_rate=3, crops=crops, task="moods")
    model.start_at(
        torch.tensor([[0.0], [2], [1], [2]]).expand(-1, model.target.num_columns)
    )
    model.save_pretrained(tmp_path / "model", card="# A card\n")
    loaded = TunedModel.from_pretrained(tmp_path / "model")
    clips = videos()
    assert torch.equal(loaded(clips), model(clips))
    assert loaded.target == model.target
    assert (loaded.sample_rate, loaded.crops, loaded.task) == (3, crops, "moods")
    assert loaded.crop_options == CropOptions(min_face=60)
    assert not loaded.training
    assert (tmp_path / "model" / "README.md").read_text() == "# A card\n"


def test_save_pretrained__loads_as_weights_of_an_encoder(tmp_path):
    model = make()
    model.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match=r"left out: head.bias, head.weight"):
        encoder = load_encoder(tmp_path)
    clips = videos()
    assert torch.equal(encoder(clips), model.encoder(clips))
    other = MarlinEncoder.from_pretrained(tmp_path)
    assert torch.equal(other(clips), model.encoder(clips))


def test_from_pretrained__model_without_a_head(tmp_path):
    make().encoder.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="describes no fine-tuned model: it has no 'h"):
        TunedModel.from_pretrained(tmp_path)


def test_from_pretrained__head_of_another_encoder(tmp_path):
    make().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["head.weight"] = torch.zeros(3, 30)
    save_file(tensors, tmp_path / "model.safetensors")
    message = r"head .* does not fit its encoder of width 24 and its 3 labels: it has "
    with pytest.raises(UsageError, match=message + r".*head.weight \(3, 30\)"):
        TunedModel.from_pretrained(tmp_path)


def test_from_pretrained__head_with_nan(tmp_path):
    model = make()
    model.head.bias.data[1] = torch.nan
    model.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"holds NaN or infinity: head\.bias"):
        TunedModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("key", ["target", "sample_rate", "crops", "task"])
def test_from_pretrained__key_is_missing(tmp_path, key):
    make().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    del values["head"][key]
    path.write_text(json.dumps(values))
    with pytest.raises(UsageError, match=f"lacks or has an invalid '{key}'"):
        TunedModel.from_pretrained(tmp_path)


def test_crop_options__unknown(tmp_path):
    with pytest.raises(UsageError, match="does not say how its face crops were made"):
        _ = make().crop_options
