import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from lightly_marlin.models import list_models
from lightly_marlin.training.settings import (
    PretrainSettings,
    read_settings,
    write_settings,
)
from lightly_marlin.transforms import mask_names
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.options import parse_given

CONFIGS = Path(__file__).parents[2] / "recipes" / "configs"


def write(path, text):
    path.write_text(text)
    return path


def test_read_settings__later_wins(tmp_path):
    first = write(tmp_path / "a.yaml", "batch_size: 4\nseed: 1\nmask: tube")
    second = write(tmp_path / "b.yaml", "batch_size: 5\nbase_learning_rate: 1e-3")
    settings = read_settings([first, second], {"seed": 2})
    assert settings.batch_size == 5
    assert settings.seed == 2
    assert settings.mask == "tube"
    assert settings.base_learning_rate == 1e-3


def test_write_settings__round_trip(tmp_path):
    settings = PretrainSettings(model="marlin_vit_tiny", max_steps=3, beta2=0.9)
    write_settings(settings, tmp_path / "config.yaml")
    assert read_settings([tmp_path / "config.yaml"], {}) == settings


@pytest.mark.parametrize("name", ["tiny", "small", "base", "large"])
def test_configs__are_valid(name):
    settings = read_settings([CONFIGS / f"marlin_vit_{name}.yaml"], {})
    assert settings.model == f"marlin_vit_{name}"
    if name != "tiny":
        released = (settings.base_learning_rate, settings.epochs, settings.beta2)
        assert released == (1.5e-4, 2000, 0.95)


def test_configs__of_histograms():
    settings = read_settings([CONFIGS / "marlin_vit_tiny_histograms.yaml"], {})
    assert settings.objective_weights == {"histograms": 0.5, "visible_histograms": 1}
    assert settings.mask == "fasking"


def test_configs__of_the_demo():
    settings = read_settings([CONFIGS / "demo.yaml"], {})
    assert settings.model == "marlin_vit_tiny"
    assert settings.adversarial_weight == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour: red", "unknown settings: colour. Supported are model"),
        ("batch_size: many", r"invalid batch_size \('many'\): must be int"),
        ("batch_size: 2.5", "invalid batch_size"),
        ("batch_size: true", "invalid batch_size"),
        ("- 1", "must map names to values, got list"),
        ("a: [", "cannot be read"),
        ("mask: cube", r"Invalid mask \(cube\)\. Supported values are fasking"),
        ("mask: tube+tube", "mixtures of two such as fasking"),
        ("mask_share: 1.5", r"Invalid mask_share 1\.5"),
        ("mask_share_end: .nan", "Invalid mask_share_end nan"),
        ("mask_share_steps: 0", "Invalid mask_share_steps 0: must be at least 1"),
        ("decode_ratio: 0", r"Invalid decode_ratio 0"),
        ("model: vit", r"Invalid model \(vit\)"),
        ("mask_ratio: 1.0", r"Invalid mask_ratio 1\.0"),
        ("held_out: 1.0", "Invalid held_out"),
        (
            "devices: 0",
            r"Invalid devices \(0\)\. Supported values are 1 and more, auto",
        ),
        ("devices: all", r"Invalid devices \(all\)"),
        ("num_nodes: 0", "Invalid num_nodes 0: must be at least 1"),
        ("workers: -1", "Invalid workers -1: must be 0 or more"),
        ("base_learning_rate: .nan", "Invalid base_learning_rate nan"),
        ("batch_size: .inf", "invalid batch_size"),
        ("beta1: 1.5", r"Invalid beta1 1\.5"),
        ("seed: 5000000000", "Invalid seed 5000000000"),
        ("min_face: -1", "Invalid min_face -1.0: must be 0 or more"),
        ("max_yaw: far", r"invalid max_yaw \('far'\): must be float"),
        ("flip: 1.5", r"Invalid flip 1\.5: must be in \[0, 1\]"),
        ("crop_scale: 0", r"Invalid crop_scale 0\.0: must be in \(0, 1\]"),
        ("color: -0.1", r"Invalid color -0\.1: must be in \[0, 1\]"),
        ("precision: fp8", r"Invalid precision \(fp8\)"),
        ("clip_gradient: -1", "Invalid clip_gradient -1.0: must be 0 or more"),
        ("compile: 1", r"invalid compile \(1\): must be bool"),
    ],
)
def test_read_settings__errors(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as error:
        read_settings([write(tmp_path / "a.yaml", text)], {})
    assert "\n" not in str(error.value)


def test_read_settings__missing_file(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml cannot be read"):
        read_settings([tmp_path / "none.yaml"], {})


def test_settings__are_options_with_default_range_and_help(capsys):
    with pytest.raises(SystemExit) as error:
        parse_given(PretrainSettings, ["--help"], "Pretrain.")
    assert error.value.code == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for field in dataclasses.fields(PretrainSettings):
        assert f"--{field.name.replace('_', '-')}" in re.split("[ ,]", text)
    assert "Clips per step and device. (default: 16; at least 1)" in text
    for name in (*list_models(), *mask_names(), "wandb", "bf16-mixed"):
        assert name in text


@pytest.mark.parametrize("field", dataclasses.fields(PretrainSettings))
def test_settings__options_equal_yaml(field, tmp_path):
    """Every default, or some value, reads alike from both."""
    value = 1 if field.default is None else field.default
    if value is False:
        value = True
    value = {"objectives": "pixels=1 latent=0.1", "precision": "tf32"}.get(
        field.name, value
    )
    path = write(tmp_path / "a.yaml", yaml.safe_dump({field.name: value}))
    flag = "--" + field.name.replace("_", "-")
    arguments = [flag] if value is True else [flag, str(value)]
    given = parse_given(PretrainSettings, arguments, "Pretrain.")
    assert read_settings([path], {}) == PretrainSettings(**given)


def test_settings__name_all_models():
    for name in list_models():
        assert PretrainSettings(model=name).model == name


def test_settings__objectives_are_words_a_list_or_a_mapping(tmp_path):
    arguments = ["--objectives", "pixels=1", "latent=0.1", "--seed", "1"]
    given = parse_given(PretrainSettings, arguments, "Pretrain.")
    settings = PretrainSettings(**given)
    assert settings.objective_weights == {"pixels": 1.0, "latent": 0.1}
    for content in (["pixels=1", "latent=0.1"], {"pixels": 1, "latent": 0.1}):
        path = write(
            tmp_path / "a.yaml",
            yaml.safe_dump({"objectives": content}, sort_keys=False),
        )
        assert read_settings([path], {"seed": 1}) == settings


def test_settings__objectives_of_marlin_by_default():
    settings = PretrainSettings()
    assert settings.objective_weights == {"pixels": 1.0, "adversarial": 0.01}
    settings = PretrainSettings(adversarial_weight=0.0)
    assert settings.objective_weights == {"pixels": 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latent", "Invalid objective 'latent': write NAME=WEIGHT"),
        ("latent=-1", "Invalid objective 'latent=-1': write NAME=WEIGHT"),
        ("latent=nan", "Invalid objective 'latent=nan': write NAME=WEIGHT"),
        ("latency=1", "Invalid objective 'latency'. Supported names are pixels, "),
        ("pixels=1 pixels=2", "The objective pixels is given twice"),
        ("pixels=1 motion=1", "pixels and motion exclude each other"),
        ("latent=1 adversarial=0.1", "adversarial needs pixels"),
        ("pixels=0", "The objectives are empty"),
        ("", "The objectives are empty"),
    ],
)
def test_settings__bad_objectives(text, message):
    with pytest.raises(UsageError, match=message) as error:
        PretrainSettings(objectives=text)
    assert "\n" not in str(error.value)
