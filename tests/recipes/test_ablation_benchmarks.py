"""Benchmarks that pretrain and probe in grids: their cells, steps and names."""

import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from lightly_marlin.evaluation.results.ablation_grid import read_grid
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import VideoReader

CONFIGS = Path(__file__).parents[2] / "recipes" / "configs"

GRID_CLIPS = [
    {"video": "a.mpg", "speaker_by_eye": "p1", "command": "bin"},
    {"video": "b.mpg", "speaker_by_eye": "p2", "command": "lay"},
]


def test_mask_ablation__speakers_are_told_apart_in_other_seconds(load_benchmark):
    rows = list(load_benchmark("mask_ablation").speaker_rows(GRID_CLIPS))
    assert [(row["video"], row["speaker"]) for row in rows[::3]] == [
        ("a.mpg", "p1"),
        ("b.mpg", "p2"),
    ]
    assert [row["split"] for row in rows] == ["train", "val", "test"] * 2
    assert [(row["start"], row["end"]) for row in rows[:3]] == [(0, 1), (1, 2), (2, 3)]


def test_mask_ablation__grid_is_one_that_ablate_takes(
    tmp_path, tiny_store, load_benchmark
):
    module = load_benchmark("mask_ablation")
    tables = tmp_path / "speakers.csv", tmp_path / "commands.csv"
    for path, column in zip(tables, ("speaker", "command"), strict=True):
        path.write_text(f"video,{column}\na.mpg,x\nb.mpg,y\nc.mpg,x\nd.mpg,y\n")
    content = module.grid_of((tiny_store, tiny_store), tables, 200, 3)
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    grid = read_grid(path, CONFIGS)
    assert [cell.settings.mask for cell in grid.cells] == list(module.MASKS)
    assert {cell.settings.image_size for cell in grid.cells} == {112}
    assert {cell.settings.schedule_steps for cell in grid.cells} == {200}
    assert list(grid.probes) == ["demo", "speaker", "command"]
    assert grid.seeds == (0, 1, 2)


def test_mask_ablation__every_number_of_steps_has_its_folder(
    monkeypatch, tmp_path, load_benchmark, read_result
):
    module = load_benchmark("mask_ablation")
    grids = {}

    def ablate(name, grid, option, out, *resume):
        assert (name, option) == ("ablate.py", "--out")
        content = yaml.safe_load(grid.read_text())
        # As ablate.py does: nothing but the same grid goes on in a folder.
        assert bool(resume) == (out in grids)
        assert grids.setdefault(out, content) == content
        out.mkdir(exist_ok=True)
        (out / "ablation.json").write_text("{}")
        for probe in content["probes"]:
            (out / f"{probe}.png").touch()

    places = (tmp_path / "store",) * 2
    monkeypatch.setattr(module, "prepare_stores", lambda data, work: places)
    monkeypatch.setattr(module, "write_labels", lambda data, work: places)
    monkeypatch.setattr("ablation_run.run_recipe", ablate)
    for steps in ("20", "30", "20"):
        command = ["x", "data", "--work", tmp_path / "work", "--steps", steps]
        command += ["--results", tmp_path / "results"]
        monkeypatch.setattr(sys, "argv", list(map(str, command)))
        module.main()
        assert read_result(tmp_path / "results", "mask_ablation")["steps"] == int(steps)
    assert [grid["pretrain"]["schedule_steps"] for grid in grids.values()] == [20, 30]


def test_ablation_run__result_names_no_folder_of_the_machine(tmp_path, load_benchmark):
    module = load_benchmark("ablation_run")
    value = {"a": [f"{tmp_path}/store", 1], "b": {"c": f"x {tmp_path}"}}
    assert module.without_paths(value, tmp_path) == {
        "a": [".../store", 1],
        "b": {"c": "x ..."},
    }


def test_objective_study__grid_is_one_that_ablate_takes(
    tmp_path, tiny_store, load_benchmark
):
    module = load_benchmark("objective_study")
    labels = tmp_path / "labels.csv"
    labels.write_text("video,label\na.mpg,x\nb.mpg,y\nc.mpg,x\nd.mpg,y\n")
    content = module.grid_of(
        tiny_store, dict.fromkeys(module.VARIANTS, 200), 2, [(tiny_store, labels)]
    )
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    grid = read_grid(path, CONFIGS)
    assert [cell.name for cell in grid.cells] == [
        f"variant={name}" for name in module.VARIANTS
    ]
    rates = {cell.name: cell.settings.base_learning_rate for cell in grid.cells}
    assert rates["variant=latent"] == 2e-4
    assert rates["variant=histograms"] == 1e-3
    assert {cell.settings.schedule_steps for cell in grid.cells} == {200}
    assert list(grid.probes) == [
        "demo",
        "demo_grid",
        "labels_exact",
        "labels_grid",
        "labels_knn",
    ]
    alone = module.grid_of(tiny_store, {"latent": 200}, 2)
    assert list(alone["probes"]) == ["demo", "demo_grid"]


def test_objective_study__equal_time_is_measured_once(
    monkeypatch, tmp_path, load_benchmark
):
    module = load_benchmark("objective_study")
    timed = []

    def pretrain(recipe, _, config, __, out):
        settings = yaml.safe_load(config.read_text())
        timed.append((recipe, settings["objectives"], settings["max_steps"]))
        out.mkdir()
        # The second of two rows, as the first warms up.
        rate = 16 if "latent" in out.name else 24
        (out / "metrics.csv").write_text(f"step,clips_per_second\n10,1\n20,{rate}\n")

    monkeypatch.setattr(module, "run_recipe", pretrain)
    steps = module.steps_in(2.5, ["latent", "histograms"], tmp_path)
    # At 8 clips a step 2 steps a second, at 4 clips 6.
    assert steps == {"latent": 300, "histograms": 900}
    assert [entry[1] for entry in timed] == [
        ["latent=1"],
        ["histograms=0.5", "visible_histograms=1"],
    ]
    assert module.steps_in(5, ["latent", "motion"], tmp_path)["latent"] == 600
    assert len(timed) == 3
    # A variant that has changed is timed again.
    monkeypatch.setitem(module.VARIANTS, "motion", {"objectives": ["pixels=1"]})
    module.steps_in(5, ["latent", "motion"], tmp_path)
    assert len(timed) == 4


def test_objective_study__names_of_results(monkeypatch, tmp_path, load_benchmark):
    module = load_benchmark("objective_study")
    runs = []
    monkeypatch.setattr(module, "run_recipe", lambda *arguments: None)
    monkeypatch.setattr(
        module, "run_ablation", lambda name, content, *_, **__: runs.append(name)
    )
    for more in ([], ["--name", "objective_study_one_seed"]):
        arguments = ["objective_study.py", "data", "--work", str(tmp_path), *more]
        monkeypatch.setattr(sys, "argv", arguments)
        module.main()
    assert runs == ["objective_study", "objective_study_one_seed"]


def test_objective_study__minutes_and_several_tables(
    monkeypatch, tmp_path, load_benchmark
):
    module = load_benchmark("objective_study")
    runs = []
    monkeypatch.setattr(module, "run_recipe", lambda *arguments: None)
    monkeypatch.setattr(module, "steps_per_minute", lambda *arguments: 10.0)
    monkeypatch.setattr(module, "run_ablation", lambda *given, **_: runs.append(given))
    Image.new("L", (64, 64), 200).save(tmp_path / "face.png")
    tables = [tmp_path / "smiles.csv", tmp_path / "pictures.csv"]
    for table in tables:
        table.write_text("picture,label\nface.png,happy\n")
    work = tmp_path / "work"
    arguments = ["objective_study.py", "data", "--work", work, "--minutes", 2.5]
    arguments += ["--variants", "motion", "--protocols", "grid", "--pictures", *tables]
    monkeypatch.setattr(sys, "argv", [str(part) for part in arguments])
    module.main()
    ((_, content, out, _, facts),) = runs
    assert list(content["probes"])[2:] == ["smiles_grid", "pictures_grid"]
    assert content["variants"]["motion"]["schedule_steps"] == 25
    assert facts["steps_by_variant"] == {"motion": 25}
    assert out.name == "ablation_2.5_minutes"
    # The tables are as they were.
    assert tables[0].read_text() == "picture,label\nface.png,happy\n"
    with pytest.raises(UsageError, match=r"Another probe has the name of .*demo\.csv"):
        module.check_names([tmp_path / "demo.csv"])
    with pytest.raises(UsageError, match="Another probe has the name"):
        module.check_names([tmp_path / "a.csv", tmp_path / "b" / "a.csv"])


def test_run_ablation__grid_of_a_fraction_of_minutes(
    monkeypatch, tmp_path, load_benchmark
):
    module = load_benchmark("ablation_run")
    calls = []

    def ablate(*arguments):
        calls.append(arguments)
        arguments[3].mkdir()
        (arguments[3] / "ablation.json").write_text("{}")

    monkeypatch.setattr(module, "run_recipe", ablate)
    out = tmp_path / "ablation_2.5_minutes"
    module.run_ablation("name", {"probes": {}}, out, tmp_path, {}, hidden=())
    assert calls[0][1] == tmp_path / "ablation_2.5_minutes.yaml"


def test_objective_study__pictures_become_videos(monkeypatch, tmp_path, load_benchmark):
    module = load_benchmark("objective_study")
    Image.new("L", (71, 64), 200).save(tmp_path / "grey face.png")
    table = tmp_path / "pictures.csv"
    table.write_text("picture,label\ngrey face.png,happy\n")
    calls = []
    monkeypatch.setattr(module, "run_recipe", lambda *call: calls.append(call))
    work = tmp_path / "work"
    work.mkdir()
    store, labels = module.prepare_pictures(table, work)
    (path,) = (work / "pictures" / "pictures" / "videos").iterdir()
    assert labels.read_text().split() == ["video,label", f"{path.name},happy"]
    assert labels.name == "pictures.csv"
    assert calls == [("preprocess_faces.py", path.parent, store)]
    with VideoReader(path) as video:
        frames = list(video)
    assert len(frames) == 16
    assert frames[0].shape == (64, 70, 3)
    assert abs(int(frames[-1].mean()) - 200) < 5
    table.write_text("picture,mood\ngrey face.png,happy\n")
    with pytest.raises(UsageError, match="must have rows with columns picture and"):
        module.prepare_pictures(table, work)
