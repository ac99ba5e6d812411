"""Recipes as modules, a store small enough to train on, an expert that knows."""

import functools
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lightly_marlin.demo import demo_store
from lightly_marlin.evaluation.probes.protocols import PROTOCOLS
from lightly_marlin.lip_sync import SyncExpert
from lightly_marlin.utils.console import run_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
BENCHMARKS = RECIPES / "benchmarks"


def load(name):
    spec = importlib.util.spec_from_file_location(
        f"recipe_{name}", RECIPES / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    # Data classes look their module up while it is executed.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def load_recipe():
    """Loads a recipe as a module, by its name."""
    return load


@pytest.fixture
def load_benchmark(monkeypatch):
    """Loads a benchmark as a module, by its name, beside the others."""

    def load(name):
        monkeypatch.syspath_prepend(str(BENCHMARKS))
        path = BENCHMARKS / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        # Dataclasses look up their module by its name.
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def run_benchmark():
    """Runs a benchmark in a process of its own."""

    def run(name, *options, python=sys.executable):
        command = [python, BENCHMARKS / f"{name}.py", *options]
        subprocess.run([str(part) for part in command], check=True, timeout=600)

    return run


@pytest.fixture(scope="session")
def read_result():
    """Reads the only result of a suite in a folder."""

    def read(folder, suite):
        (path,) = folder.glob(f"{suite}-*.json")
        result = json.loads(path.read_text())
        assert result["suite"] == suite
        version = torch.__version__.split("+")[0]
        assert result["machine"]["versions"]["torch"] == version
        return result

    return read


@pytest.fixture(scope="session")
def pretrain_marlin():
    """The recipe's main function as the shell sees it: arguments in, status out."""
    module = load("pretrain_marlin")

    def run(*arguments):
        return run_recipe(lambda: module.main([str(x) for x in arguments]))

    return run


@pytest.fixture
def quick_probes(monkeypatch):
    """Probes of few steps: what they learn in more is asked where they are tested."""
    quick = {"linear": {"epochs": 1, "min_steps": 5}, "released": {"epochs": 10}}
    for name, options in quick.items():
        probe = functools.partial(PROTOCOLS[name], **options)
        monkeypatch.setitem(PROTOCOLS, name, probe)


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "store"
    demo_store(path, num_clips=3, num_frames=24)
    return path


@pytest.fixture(scope="session")
def six_store(tmp_path_factory):
    """A store with enough clips to divide into train, validation and test."""
    path = tmp_path_factory.mktemp("six") / "store"
    demo_store(path, num_clips=6, num_frames=24)
    return path


class MouthExpert(torch.nn.Module):
    """Stands in for a trained expert: compares a bright lip with loud sound.

    Embeddings are curves of five frames, of mean 0 and norm 1.
    """

    num_frames, mel_steps = 5, 16

    def __init__(self):
        super().__init__()
        self.device = torch.nn.Parameter(torch.zeros(()))

    def forward(self, frames, mel):
        # Where the lower lip of the open mouth is, the closed one has the darker chin.
        mouth = frames[..., 80:84, 40:56].float().mean(dim=(1, 3, 4))
        loud = mel[:, 0].exp().mean(dim=1)[:, :15].unflatten(1, (5, 3)).mean(dim=2)
        return tuple(map(self._shape, (mouth, loud)))

    def _shape(self, curve):
        curve = curve - curve.mean(dim=1, keepdim=True)
        return torch.nn.functional.normalize(curve, dim=1)

    similarity = SyncExpert.similarity


@pytest.fixture(scope="session")
def mouth_expert():
    return MouthExpert()
