"""The plan of the house: which room may import which, without circles."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lightly_marlin"

# `utils` is open to all. `store` knows `faces` for the geometry of a crop alone.
MAY_IMPORT = {
    "utils": "",
    "kernels": "",
    "regions": "",
    "transforms": "regions kernels",
    "loss": "regions kernels",
    "models": "kernels",
    "audio": "",
    "video": "audio",
    "jobs": "",
    "faces": "regions",
    "store": "regions faces audio video jobs",
    "preparation": "regions faces store audio video jobs",
    "data": "regions store audio",
    "demo": "faces preparation store audio video jobs",
    "features": "models preparation store video jobs faces",
    "visualization": "features models regions transforms",
    "analysis": "features models regions transforms visualization",
    "training": "kernels regions models loss transforms store data visualization",
    "lip_sync": "kernels regions models loss data audio faces video store preparation "
    "training visualization jobs evaluation",
    "evaluation": "regions loss features models transforms store preparation data "
    "training visualization",
}

# Re-exports of names that moved: loaded on first use, no arrow of the design.
OPEN_DOORS = {"lightly_marlin.data", "lightly_marlin"}


def _modules():
    for folder, prefix in ((PACKAGE, "lightly_marlin"), (ROOT / "kernels", None)):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join([prefix or "lightly_marlin.kernels", *parts])
            yield name.removesuffix(".__init__"), path


def _imports(path):
    """Absolute names, of imports at the top, inside functions and for types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(name):
    parts = name.split(".")
    return parts[1] if parts[0] == "lightly_marlin" and len(parts) > 1 else None


MODULES = dict(_modules())


def test_rooms__every_room_is_in_the_plan():
    rooms = {_room(name) for name in MODULES} - {None}
    assert rooms == set(MAY_IMPORT)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms__arrows_point_one_way(room):
    allowed = {room, "utils", *MAY_IMPORT[room].split()}
    wrong = [
        f"{name} imports {target}"
        for name, path in MODULES.items()
        if _room(name) == room and name not in OPEN_DOORS
        for target in _imports(path)
        if _room(target) not in {None, *allowed}
    ]
    assert wrong == []


def test_rooms__the_plan_has_no_circles():
    plan = {room: set(allowed.split()) for room, allowed in MAY_IMPORT.items()}
    assert list(graphlib.TopologicalSorter(plan).static_order())


def test_modules__no_circles():
    graph = {}
    for name, path in MODULES.items():
        targets = {t if t in MODULES else t.rpartition(".")[0] for t in _imports(path)}
        own = name not in OPEN_DOORS and path.name != "__init__.py"
        graph[name] = {t for t in targets if own and t in MODULES and t != name}
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_rooms__recipes_are_imported_by_nothing():
    assert not [
        name
        for name, path in MODULES.items()
        if any(target.split(".")[0] == "recipes" for target in _imports(path))
    ]
