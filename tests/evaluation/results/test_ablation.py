"""The folder of an ablation: rows, steps, and the record that keeps grids apart."""

import dataclasses
from pathlib import Path

import pytest

from lightly_marlin.evaluation.results.ablation import AblationFolder, rows_of
from lightly_marlin.evaluation.results.ablation_grid import Cell, Grid
from lightly_marlin.training.settings import PretrainSettings, read_settings
from lightly_marlin.utils.errors import UsageError


def make_grid(masks=("fasking", "tube"), **changes):
    cells = tuple(
        Cell(f"mask={mask}", PretrainSettings(mask=mask, model="marlin_vit_tiny"))
        for mask in masks
    )
    values = {"seeds": (0, 1), "probes": {"demo": ("a.csv",)}, "baselines": ()}
    return Grid(cells, **{**values, **changes})


def begin(path, grid):
    folder = AblationFolder(path, grid)
    folder.open(resume=False)
    folder.write_record()
    return folder


def test_rows_of__cells_then_baselines():
    rows = rows_of(make_grid(baselines=("pixels", "random")))
    assert [(row.name, row.model) for row in rows] == [
        ("mask=fasking", None),
        ("mask=tube", None),
        ("pixels", "pixels"),
        ("random", "marlin_vit_tiny"),
    ]


def test_rows_of__random_initialisation_of_every_model():
    cells = tuple(
        Cell(f"model={name}", PretrainSettings(model=name))
        for name in ("marlin_vit_tiny", "marlin_vit_base")
    )
    rows = rows_of(Grid(cells, (0,), {}, ("random",)))
    assert [(row.name, row.model) for row in rows[2:]] == [
        ("random,model=marlin_vit_tiny", "marlin_vit_tiny"),
        ("random,model=marlin_vit_base", "marlin_vit_base"),
    ]


def test_rows_of__histograms_of_every_size_and_no_model():
    settings = [
        PretrainSettings(model=model, image_size=size)
        for model in ("marlin_vit_tiny", "marlin_vit_base")
        for size in (112, 64)
    ]
    cells = tuple(Cell(f"{s.model},{s.image_size}", s) for s in settings)
    rows = rows_of(Grid(cells, (0,), {}, ("histograms", "pixels")))
    assert [(row.name, row.model, row.image_size) for row in rows[4:]] == [
        ("histograms,image_size=112", "histograms", 112),
        ("histograms,image_size=64", "histograms", 64),
        ("pixels", "pixels", None),
    ]


def test_rows_of__random_initialisation_of_every_size():
    settings = [
        PretrainSettings(model="marlin_vit_tiny", image_size=s) for s in (112, 64)
    ]
    cells = tuple(Cell(f"image_size={s.image_size}", s) for s in settings)
    grid = Grid(cells, (0,), {"demo": ("a.csv",)}, ("random",))
    assert [(row.name, row.image_size) for row in rows_of(grid)[2:]] == [
        ("random,image_size=112", 112),
        ("random,image_size=64", 64),
    ]
    last = list(AblationFolder(Path("out"), grid).steps())[-1]
    place = last.arguments.index("--image-size")
    assert last.arguments[place : place + 2] == ("--image-size", "64")


def test_steps__arguments():
    grid = make_grid(["tube"], seeds=(3,), baselines=("random",))
    pretrain, probe, random = AblationFolder(Path("out"), grid).steps()
    folder = "out/cells/mask=tube/seed=3"
    options = f"--config {folder}/settings.yaml --seed 3 --out {folder}/run --resume"
    assert pretrain.arguments == tuple(options.split())
    assert pretrain.recipe == "pretrain_marlin.py"
    options = f"a.csv --weights {folder}/run/model --seed 3 --out {folder}/demo"
    assert probe.arguments == (*options.split(), "--cache", "out/features")
    assert probe.name == "mask=tube seed=3 demo"
    folder = "out/cells/random/seed=3"
    options = f"a.csv --model marlin_vit_tiny --seed 3 --out {folder}/demo"
    assert random.arguments == (*options.split(), "--cache", "out/features")
    assert random.recipe == "evaluate.py"


def test_steps__every_seed_of_a_row_has_its_folder():
    steps = list(AblationFolder(Path("out"), make_grid(baselines=("pixels",))).steps())
    # Two seeds of two cells with a probe each, and of a baseline.
    assert len(steps) == 2 * (2 * 2 + 1)
    assert len({step.done for step in steps}) == len(steps)
    assert len({step.log for step in steps}) == len(steps)


def test_steps__a_path_in_the_grid_is_one_folder():
    cell = Cell("store=../a/b", PretrainSettings())
    folder = AblationFolder(Path("out"), Grid((cell,), (0,), {"demo": ()}, ()))
    assert folder.result(cell.name, 0, "demo").parts == (
        *("out", "cells", "store=..%2Fa%2Fb", "seed=0", "demo"),
    )


def test_step__settings_come_back_and_finishing_is_remembered(tmp_path):
    first, *_ = AblationFolder(tmp_path, make_grid()).steps()
    assert not first.is_finished()
    first.prepare()
    file = Path(first.arguments[first.arguments.index("--config") + 1])
    assert read_settings([file], {}) == first.settings
    assert not first.is_finished()
    first.finish()
    assert first.is_finished()


def test_step__finished_with_other_settings(tmp_path):
    first, *_ = AblationFolder(tmp_path, make_grid()).steps()
    first.prepare()
    first.finish()
    settings = dataclasses.replace(first.settings, max_steps=7)
    other = dataclasses.replace(first, settings=settings)
    with pytest.raises(UsageError, match="with max_steps None, not 7"):
        other.is_finished()


def test_open__not_without_resume(tmp_path):
    begin(tmp_path / "out", make_grid())
    again = AblationFolder(tmp_path / "out", make_grid())
    with pytest.raises(UsageError, match="holds an ablation already"):
        again.open(resume=False)
    again.open(resume=True)


def test_open__resume_of_nothing_begins(tmp_path):
    AblationFolder(tmp_path / "out", make_grid()).open(resume=True)
    assert (tmp_path / "out").is_dir()


def test_open__cells_of_nobody(tmp_path):
    (tmp_path / "cells").mkdir()
    with pytest.raises(UsageError, match=r"has cells, but no grid\.json"):
        AblationFolder(tmp_path, make_grid()).open(resume=True)


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (make_grid(["fasking"]), "it has the cell mask=tube"),
        (make_grid(seeds=(1, 2)), "it has 0 among its seeds"),
        (make_grid(probes={"x": ()}), "it has the probe demo"),
        (make_grid(probes={"demo": ("b.csv",)}), "'a.csv' there, 'b.csv' here"),
        (
            make_grid(baselines=("random",), masks=["fasking", "random"]),
            "it has the cell mask=tube",
        ),
    ],
)
def test_open__another_grid(tmp_path, grid, words):
    begin(tmp_path, make_grid())
    with pytest.raises(UsageError, match=r"ablation of another grid: ") as caught:
        AblationFolder(tmp_path, grid).open(resume=True)
    assert words in str(caught.value)


def test_open__another_setting(tmp_path):
    begin(tmp_path, make_grid())
    changed = Cell("mask=fasking", PretrainSettings(model="marlin_vit_tiny", stride=3))
    grid = make_grid()
    grid = dataclasses.replace(grid, cells=(changed, grid.cells[1]))
    with pytest.raises(UsageError, match="mask=fasking has stride 2 there, 3 here"):
        AblationFolder(tmp_path, grid).open(resume=True)


def test_open__a_grid_may_grow(tmp_path):
    begin(tmp_path, make_grid())
    grown = make_grid(
        ["crfrp", "fasking", "tube"],
        seeds=(0, 1, 2),
        probes={"demo": ("a.csv",), "more": ()},
        baselines=("random",),
    )
    folder = AblationFolder(tmp_path, grown)
    folder.open(resume=True)
    folder.write_record()
    with pytest.raises(UsageError, match="it has the cell mask=crfrp"):
        AblationFolder(tmp_path, make_grid()).open(resume=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "cannot be read"), ("[]", "is damaged"), ('{"schema": 9}', "schema 9")],
)
def test_open__damaged_record(tmp_path, text, words):
    (tmp_path / "grid.json").write_text(text)
    with pytest.raises(UsageError, match=words):
        AblationFolder(tmp_path, make_grid()).open(resume=True)
