"""The base install serves models, masks, losses and kernels; all else names its extra.

The environments hold the wheel of this tree and what pip would bring for it. By default
these are links to what is installed here, which takes seconds; `-m slow` repeats the
tests of the base install where pip has really installed it.
"""

import ast
import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lightly_marlin
from lightly_marlin.demo import demo_store
from lightly_marlin.demo.clips import demo_clips
from lightly_marlin.models import create_marlin
from lightly_marlin.utils.dependency import EXTRAS
from lightly_marlin.video import write_video

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(__file__).parent / "base_install"
RECIPES = sorted((ROOT / "recipes").glob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

# Whose modules may need which extra, beside the base.
ROOM_EXTRAS = {
    "analysis": ["plots"],
    "audio": ["video"],
    "data": ["train", "stream"],
    "demo": ["demo"],
    "evaluation": ["evaluation", "mosei"],
    "faces": ["faces"],
    "features": ["faces"],
    "jobs": ["faces"],
    "lip_sync": ["evaluation"],
    "models": ["executorch"],
    "preparation": ["ray", "remote"],
    "store": ["faces", "stream"],
    "training": ["train"],
    "transforms": ["evaluation"],
    "utils": ["train", "remote"],
    "video": ["video"],
    "visualization": ["plots"],
}

# Recipes of which a part works in the base install.
BASE_RECIPES = {"convert_checkpoint": [], "export_model": ["export"]}

ONE_STEP = " --max-steps 1 --batch-size 1 --out out"

# What people call first in each room, and the extra that its error names.
USES = {
    "faces.DlibDetector()": "faces",
    "faces.DlibLandmarks()": "faces",
    "faces.find_faces(frames)": "faces",
    "audio.read_audio('x.mp4')": "video",
    "video.VideoReader('x.mp4').__enter__()": "video",
    "video.write_video('y.mp4', frames)": "video",
    "store.FaceStore('store')": "faces",
    "data.FaceStore('store')": "faces",
    "preparation.prepare_videos('.', 'made')": "faces",
    "features.extract_video(encoder, 'x.mp4')": "video",
    "features.extract_folder(encoder, '.', 'out')": "faces",
    "demo.demo_store('demo', num_clips=1, num_frames=16)": "demo",
    "analysis.plane_embedding.embed_in_plane(tokens)": "plots",
}


def closure(*extras):
    """What pip brings for this package with some extras: distributions by name."""
    todo = [Requirement(f"{PROJECT['name']}[{','.join(extras)}]")]
    seen, found = set(), {}
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        if name == PROJECT["name"]:
            groups = PROJECT["optional-dependencies"]
            needs = [
                *PROJECT["dependencies"],
                *(r for e in wanted.extras for r in groups[e]),
            ]
        else:
            found[name] = metadata.distribution(name)
            needs = found[name].requires or ()
        todo += [
            need
            for need in map(Requirement, needs)
            if need.marker is None
            or any(need.marker.evaluate({"extra": e}) for e in ("", *wanted.extras))
        ]
    return found


def run(python, script, given=None, *, cwd):
    """Runs a script in an environment; returns what it printed last."""
    command, variables = python
    done = subprocess.run(
        [*command, script],
        input=json.dumps(given) + "\n",
        env={**os.environ, **variables},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1:]


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """A copy of what is installed, so that building leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("lightly_marlin", "kernels"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="session")
def wheel(tree):
    code = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
    )
    return zipfile.ZipFile(tree / done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def linked(wheel, tmp_path_factory):
    """Makes an environment of links with the extras that are given."""

    def make(*extras):
        site = tmp_path_factory.mktemp("site")
        wheel.extractall(site)
        for distribution in closure(*extras).values():
            for name in {Path(file).parts[0] for file in distribution.files}:
                if name not in ("..", "__pycache__") and not (site / name).exists():
                    (site / name).symlink_to(distribution.locate_file(name))
        return [sys.executable, "-S"], {"PYTHONPATH": str(site)}

    return make


@pytest.fixture(
    scope="session", params=["linked", pytest.param("pip", marks=pytest.mark.slow)]
)
def base(request, linked, tree, tmp_path_factory):
    """A base install: the command that runs its Python, and environment variables."""
    if request.param == "linked":
        yield linked()
        return
    folder = tmp_path_factory.mktemp("environment")
    python = folder / "bin" / "python"
    host = sys.executable if importlib.util.find_spec("pip") else sys._base_executable
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    command = [host, "-m", "pip", "--python", python, "install", "-q", tree]
    subprocess.run(command, check=True)
    yield [str(python)], {"PYTHONPATH": ""}
    # 5 GB, which pytest would keep for some runs.
    shutil.rmtree(folder)


def test_wheel__holds_every_file(tree, wheel):
    places = {"lightly_marlin": "lightly_marlin", "kernels": "lightly_marlin/kernels"}
    for folder, place in places.items():
        files = {path for path in (tree / folder).rglob("*") if path.is_file()}
        inside = {f"{place}/{f.relative_to(tree / folder).as_posix()}" for f in files}
        assert inside - {*wheel.namelist()} == set()
    packages = {name.partition("/")[0] for name in wheel.namelist()}
    assert packages == {
        "lightly_marlin",
        f"lightly_marlin-{PROJECT['version']}.dist-info",
    }


def test_base__model_masks_losses_and_kernels_work(base, tmp_path):
    run(base, SCRIPTS / "learn.py", cwd=tmp_path)


def test_base__everything_can_be_imported(base, tmp_path):
    assert int(run(base, SCRIPTS / "import_all.py", cwd=tmp_path)[0]) > 100


def test_base__rooms_name_the_extra_they_miss(base, tmp_path):
    (said,) = run(base, SCRIPTS / "use_rooms.py", list(USES), cwd=tmp_path)
    said = json.loads(said)
    lines = {
        use: f'pip install "lightly-marlin[{extra}]"' for use, extra in USES.items()
    }
    assert {use: text.partition("with: ")[2] for use, text in said.items()} == lines


def test_base__recipes_name_the_extra_they_miss(base, tmp_path):
    paths = [str(path) for path in RECIPES if path.stem not in BASE_RECIPES]
    (said,) = run(base, SCRIPTS / "run_recipes.py", paths, cwd=tmp_path)
    for path, (status, errors) in json.loads(said).items():
        extras = ",".join(declared_extras(Path(path)))
        assert status == 2, (path, errors)
        assert errors.startswith(f"error: {Path(path).name} needs "), (path, errors)
        assert errors.endswith(
            f'. Install it with: pip install "lightly-marlin[{extras}]"\n'
        )
        assert errors.count("\n") == 1


def declared_extras(recipe):
    """Extras that a recipe gives to `run_recipe`."""
    for node in ast.walk(ast.parse(recipe.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "run_recipe":
            return [argument.value for argument in node.args[1:]]
    raise AssertionError(f"{recipe} does not call run_recipe")


@functools.cache
def modules_of(name):
    """Top-level names among a distribution's files: its packages, and more."""
    files = metadata.distribution(name).files
    return {file.parts[0].partition(".")[0] for file in files}


def provided(*extras):
    """Modules that extras bring, and those of the base that we ask for by name."""
    base = [modules_of(Requirement(text).name) for text in PROJECT["dependencies"]]
    return {module for extra in extras for module in EXTRAS[extra]}.union(*base)


def imported(path):
    """Third-party packages that a file imports anywhere, or asks `require` for."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "require":
            module = node.args[0]
            names |= {module.value} if isinstance(module, ast.Constant) else set()
    packages = {name.partition(".")[0] for name in names}
    return packages - {*sys.stdlib_module_names, "lightly_marlin"}


@pytest.mark.parametrize("room", lightly_marlin.__all__)
def test_rooms__import_what_the_base_or_their_extra_brings(room):
    folder = ROOT if room == "kernels" else ROOT / "lightly_marlin"
    files = [*(folder / room).glob("**/*.py"), *folder.glob(f"{room}.py")]
    # The benchmarks of the kernels do without what is missing.
    needed = {m for f in files if "benchmarks" not in f.parts for m in imported(f)}
    assert needed - provided(*ROOM_EXTRAS.get(room, ())) == set()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes__import_what_the_base_or_their_extras_bring(recipe):
    extras = {*declared_extras(recipe), *BASE_RECIPES.get(recipe.stem, ())}
    assert imported(recipe) - provided(*extras) == set()


@pytest.mark.parametrize("extra", EXTRAS)
def test_extras__are_those_of_the_project(extra):
    """Each brings the modules that it is named for, and each package has a module."""
    if extra == "executorch":
        pytest.importorskip("executorch")
    asked = map(Requirement, PROJECT["optional-dependencies"][extra])
    own = {need.name for need in asked} - {PROJECT["name"]}
    assert [name for name in own if not modules_of(name) & {*EXTRAS[extra]}] == []
    assert {*EXTRAS[extra]} <= set().union(*map(modules_of, closure(extra)))


def test_extras__all_is_every_extra_for_users():
    groups = PROJECT["optional-dependencies"]
    everything = set().union(*(Requirement(n).extras for n in groups["all"]))
    assert everything == {*groups} - {"all", "dev", "executorch", "test"}


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """A folder with a face store, a video, its label and a model."""
    folder = tmp_path_factory.mktemp("inputs")
    demo_store(folder / "store", num_clips=2, num_frames=32)
    clip = next(iter(demo_clips(num_clips=1, num_frames=80)))
    write_video(folder / "talk.mp4", clip.frames, clip.fps)
    (folder / "labels.csv").write_text("video,label\ntalk.mp4,a\ntalk.mp4,b")
    create_marlin("marlin_vit_tiny").save_pretrained(folder / "model")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extras", "command"),
    [
        ("train", "pretrain_marlin --store store --model marlin_vit_tiny" + ONE_STEP),
        ("train", "visualize_masks --store store --out out"),
        ("hf train", "fasking_in_hf_vitmae --store store" + ONE_STEP),
        ("video", "pytorchvideo_classification labels.csv" + ONE_STEP),
        ("faces", "preprocess_faces talk.mp4 out"),
        ("faces", "extract_features talk.mp4 out --weights model --crop-face"),
        ("faces plots", "visualize_features talk.mp4 out --weights model"),
        ("export", "export_model out --weights model --formats onnx"),
        ("", "convert_checkpoint model out.full.pt"),
    ],
)
def test_extras__are_enough(extras, command, linked, inputs, tmp_path):
    shutil.copytree(inputs, tmp_path, dirs_exist_ok=True)
    recipe, *options = command.split()
    python, variables = linked(*extras.split())
    done = subprocess.run(
        [*python, ROOT / "recipes" / f"{recipe}.py", *options],
        env={**os.environ, **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.slow
def test_extras__demo_is_enough(linked, tmp_path):
    use = "demo.demo_store('demo', num_clips=1, num_frames=16)"
    (said,) = run(linked("demo"), SCRIPTS / "use_rooms.py", [use], cwd=tmp_path)
    assert json.loads(said)[use].startswith("gave ")
