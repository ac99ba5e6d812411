"""The file of an ablation: what it means, and what is wrong with it in one line."""

import shutil
from pathlib import Path

import pytest
import yaml

from lightly_marlin.demo import demo_store, write_demo_labels
from lightly_marlin.evaluation.results.ablation_grid import read_grid
from lightly_marlin.utils.errors import UsageError

RECIPES = Path(__file__).parents[3] / "recipes"
PRESETS = RECIPES / "configs"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store and its labels."""
    folder = tmp_path_factory.mktemp("grid")
    demo_store(folder / "store", num_clips=1, num_frames=16)
    write_demo_labels(folder / "demo.csv", num_clips=4)
    return folder


def content(**changes):
    """A file that can be used, with changes; None drops a key."""
    values = {
        "pretrain": {"model": "marlin_vit_tiny", "store": "store", "max_steps": 3},
        "grid": {"mask": ["fasking", "tube"]},
        "seeds": [0, 1, 2],
        "probes": {"demo": {"labels": "demo.csv", "store": "store", "column": "smile"}},
        **changes,
    }
    return {key: value for key, value in values.items() if value is not None}


@pytest.fixture
def read(place):
    def read(**changes):
        path = place / "grid.yaml"
        path.write_text(yaml.safe_dump(content(**changes), sort_keys=False))
        return read_grid(path, PRESETS)

    return read


def test_read_grid__cells_are_all_combinations_in_order(read):
    grid = read(grid={"mask": ["tube", "fasking"], "mask_ratio": [0.75, 0.9]})
    assert [cell.name for cell in grid.cells] == [
        "mask=tube,mask_ratio=0.75",
        "mask=tube,mask_ratio=0.9",
        "mask=fasking,mask_ratio=0.75",
        "mask=fasking,mask_ratio=0.9",
    ]
    assert [(c.settings.mask, c.settings.mask_ratio) for c in grid.cells] == [
        ("tube", 0.75),
        ("tube", 0.9),
        ("fasking", 0.75),
        ("fasking", 0.9),
    ]
    assert grid.seeds == (0, 1, 2)
    assert grid.baselines == ("random", "pixels")


def test_read_grid__settings_are_shared_over_those_of_the_model(read, place):
    settings = read().cells[0].settings
    preset = yaml.safe_load((PRESETS / "marlin_vit_tiny.yaml").read_text())
    assert settings.max_steps == 3
    assert settings.store == str(place / "store")
    assert settings.schedule_steps == preset["schedule_steps"]
    assert settings.base_learning_rate == float(preset["base_learning_rate"])


def test_read_grid__epochs_come_before_the_steps_of_the_model(read):
    shared = {"model": "marlin_vit_tiny", "store": "store", "epochs": 5}
    settings = read(pretrain=shared).cells[0].settings
    assert (settings.epochs, settings.schedule_steps) == (5, None)


def test_read_grid__models_in_the_grid_have_their_own_settings(read):
    models = ["marlin_vit_tiny", "marlin_vit_base"]
    cells = read(pretrain=None, grid={"model": models}).cells
    assert [cell.settings.model for cell in cells] == models
    assert cells[0].settings.batch_size != cells[1].settings.batch_size


def test_read_grid__without_a_grid_there_is_one_cell(read):
    assert [cell.name for cell in read(grid=None).cells] == ["pretrained"]


def test_read_grid__variants_with_every_combination(read):
    grid = read(
        variants={
            "plain": None,
            "contrast": {"objectives": ["contrast=1"], "max_steps": 5},
        },
        grid={"mask_ratio": [0.5, 0.9]},
    )
    found = [
        (c.name, c.settings.objectives, c.settings.max_steps, c.settings.mask_ratio)
        for c in grid.cells
    ]
    assert found == [
        ("variant=plain,mask_ratio=0.5", None, 3, 0.5),
        ("variant=plain,mask_ratio=0.9", None, 3, 0.9),
        ("variant=contrast,mask_ratio=0.5", "contrast=1", 5, 0.5),
        ("variant=contrast,mask_ratio=0.9", "contrast=1", 5, 0.9),
    ]


def test_read_grid__variants_alone(read):
    grid = read(variants={"low": {"mask_ratio": 0.5}}, grid=None)
    assert [cell.name for cell in grid.cells] == ["variant=low"]
    assert grid.cells[0].settings.mask_ratio == 0.5


def test_read_grid__arguments_of_a_probe(read, place):
    options = {
        "store": "store",
        "column": ["talking", "smile"],
        "protocol": "linear",
        "all_faces": True,
        "fractions": 10,
        "labels": "demo.csv",
        "limit": None,
    }
    grid = read(probes={"few": options, "clips": {}})
    assert grid.probes["few"] == (
        str(place / "demo.csv"),
        f"--store={place / 'store'}",
        *("--column", "talking", "smile"),
        "--protocol=linear",
        "--all-faces",
        "--fractions=10",
    )
    assert grid.probes["clips"] == ()


def test_read_grid__paths_do_not_depend_on_the_working_folder(place, read, monkeypatch):
    there = read()
    monkeypatch.chdir(place)
    assert read_grid(Path("grid.yaml"), PRESETS) == there


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"grids": {}}, "the key grids is unknown. Supported are pretrain, variants"),
        ({"pretrain": {"max_step": 3}}, "pretrain.max_step is unknown. Supported"),
        ({"pretrain": {"seed": 3}}, "pretrain.seed is set by the ablation, per cell"),
        ({"pretrain": {"max_steps": "x"}}, "pretrain.max_steps ('x') must be int or"),
        ({"pretrain": {"max_steps": 0}}, "pretrain.max_steps: Invalid max_steps 0"),
        ({"pretrain": {"store": "no"}}, "no does not exist."),
        ({"pretrain": [1]}, "pretrain must map names to values, got [1]"),
        ({"grid": {"mask": "tube"}}, "grid.mask must be a list of at least one"),
        ({"grid": {"mask": []}}, "grid.mask must be a list of at least one"),
        ({"grid": {"mask": ["tube", "tub"]}}, "grid.mask: Invalid mask (tub)."),
        ({"grid": {"mask": ["tube", "tube"]}}, "grid.mask has 'tube' twice"),
        ({"grid": {"mask_ratio": [0.9, "0.9"]}}, "grid.mask_ratio has '0.9' twice"),
        (
            {"variants": {"a": {"mask": "tube"}}},
            "grid.mask is under variants.a as well. Drop one.",
        ),
        ({"variants": {"a/b": {}}}, "variants.a/b: the name is part of that of a"),
        ({"variants": {"a": {"maks": 1}}}, "variants.a.maks is unknown"),
        ({"variants": {"a": {"seed": 1}}}, "variants.a.seed is set by the ablation"),
        ({"variants": {"a": 3}}, "a must map names to values, got 3"),
        ({"variants": ["a"]}, "variants must map names to values"),
        ({"grid": {"max_steps": [3]}}, "grid.max_steps is under pretrain as well"),
        ({"seeds": None}, "seeds must be a list of at least one value, got None"),
        ({"seeds": [0, -1]}, "seeds has -1: must be an integer in [0, 2**32)"),
        ({"seeds": [0, 1.5]}, "seeds has 1.5"),
        ({"probes": None}, "probes is missing"),
        ({"probes": {"run": {}}}, "probes.run: the name is that of a folder"),
        ({"probes": {"pretrain": {}}}, "probes.pretrain: the name is that of a folder"),
        ({"probes": {"settings.yaml": {}}}, "probes.settings.yaml: the name is that"),
        ({"probes": {"x.log": {}}}, "probes.x.log: the name is that of a folder"),
        ({"probes": {"a/b": {}}}, "probes.a/b: the name is that of a folder"),
        ({"probes": {"x": 3}}, "probes.x: x must map names to values, got 3"),
        ({"probes": {"x": {"weights": 3}}}, "probes.x: weights is unknown. Supported"),
        ({"probes": {"x": {"labels": "no"}}}, "no does not exist"),
        ({"probes": {"x": {"labels": "demo.csv"}}}, "probes.x: store is missing"),
        ({"probes": {"x": {"store": "store"}}}, "probes.x: labels is missing"),
        ({"probes": {"x": {"protocol": "best"}}}, "probes.x: argument --protocol: inv"),
        ({"probes": {"x": {"fractions": 0}}}, "fractions must be in (0, 100], got 0"),
        ({"baselines": ["constant"]}, "baselines has 'constant'. Supported are random"),
    ],
)
def test_read_grid__says_what_is_wrong(read, place, changes, words):
    with pytest.raises(UsageError) as caught:
        read(**changes)
    text = str(caught.value)
    assert text.startswith(f"{place / 'grid.yaml'}: ")
    assert words in text
    assert "\n" not in text


def test_read_grid__unknown_column_of_a_probe(read):
    probe = {"labels": "demo.csv", "store": "store", "column": ["mood"]}
    with pytest.raises(UsageError, match=r"probes\.demo: .*mood"):
        read(probes={"demo": probe})


def test_read_grid__folder_that_is_no_store(read, place):
    (place / "empty").mkdir(exist_ok=True)
    with pytest.raises(UsageError, match=r"pretrain\.store: .*empty"):
        read(pretrain={"store": "empty"})


def test_read_grid__no_yaml(tmp_path):
    path = tmp_path / "grid.yaml"
    with pytest.raises(UsageError, match="cannot be read"):
        read_grid(path, PRESETS)
    path.write_text("a: [")
    with pytest.raises(UsageError, match="cannot be read"):
        read_grid(path, PRESETS)
    path.write_text("- a")
    with pytest.raises(UsageError, match=r"must map .* got list"):
        read_grid(path, PRESETS)


def test_read_grid__example(place, tmp_path):
    """The file of the repository, with its store and labels."""
    shutil.copy(PRESETS / "ablation.yaml", tmp_path / "grid.yaml")
    for name in ("store", "labelled_store"):
        shutil.copytree(place / "store", tmp_path / name)
    lines = [f"{index}.mp4,{'happy' if index % 2 else 'calm'}" for index in range(8)]
    (tmp_path / "labels.csv").write_text("\n".join(["video,mood", *lines]))
    grid = read_grid(tmp_path / "grid.yaml", PRESETS)
    assert [cell.settings.mask for cell in grid.cells] == [
        "fasking",
        "tube",
        "random",
        "crfrp",
    ]
    assert len(grid.seeds) == 3
    assert list(grid.probes) == ["mood"]
