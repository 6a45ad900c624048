"""Imports point one way: between packages, between the rooms of a package, and never in a circle."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from agss_model.cvat.polygons.keyframes import LEAST, MOST, TOLERANCE

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {  # what each may import beside itself
    "agss_model": set(),
    "serverless": {"agss_model"},
    "training": {"agss_model", "fiftyone_plugin"},  # it learns from FiftyOne's datasets
    "fiftyone_plugin": {"agss_model"},
}
PARTS_OF_BOTH_NETWORKS = {"AgnosticModule", "InstanceModule", "Decoder"}  # called so in the paper, made anew for `lite`
TRAINING = [
    "data",
    "synthesis",
    "scores",
    "loop",
    "annotations",
    "pseudo_labels",
    "release",
    "team",
]  # each may import those before it


@cache
def modules(package: str) -> dict[str, Path]:
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imported(path: Path, *, when_loaded: bool) -> set[str]:
    """Full names of what a module imports; only what loading it imports, or in its functions too."""
    names, todo = set(), list(ast.parse(path.read_text()).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif not (when_loaded and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))):
            todo += list(ast.iter_child_nodes(node))
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_those_below_it(package):
    strangers = {
        (name, other)
        for name, path in modules(package).items()
        for other in imported(path, when_loaded=False)
        if other.split(".")[0] in PACKAGES.keys() - PACKAGES[package] - {package}
    }
    assert not strangers


def test_the_rooms_of_training_import_one_way():
    for room in TRAINING:
        later = {f"training.{name}" for name in TRAINING[TRAINING.index(room) + 1 :]}
        for name, path in modules(f"training/{room}").items():
            back = {o for o in imported(path, when_loaded=True) if ".".join(o.split(".")[:2]) in later}
            assert not back, name


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_loaded_in_a_circle(package):
    known = modules(package)
    needs = {name: imported(path, when_loaded=True) & known.keys() - {name} for name, path in known.items()}
    while free := {name for name, others in needs.items() if not others & needs.keys()}:
        needs = {name: others for name, others in needs.items() if name not in free}
    assert not needs, "in a circle, or needing one that is"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_rooms_of_a_package_stand_in_an_order(package):
    """A room is a folder, or a file beside the folders; none imports one that, by whatever way, imports it."""

    def room(name):
        return ".".join(name.split(".")[:2])

    known, needs = modules(package), {}
    for name, path in known.items():
        others = {room(other) for other in imported(path, when_loaded=False) & known.keys()}
        needs[room(name)] = needs.get(room(name), set()) | others - {room(name), package}
    while free := {name for name, others in needs.items() if not others & needs.keys()}:
        needs = {name: others for name, others in needs.items() if name not in free}
    assert not needs, "in a circle, or needing one that is"


ROOMS = sorted(name for package in PACKAGES for name, path in modules(package).items() if path.name == "__init__.py")
IN, OUT = r"(?i)\bcomes? in\b|\bin comes?\b", r"(?i)\bgo(es)? out\b|\bout go(es)?\b"


def said(room: str) -> str:
    return ast.get_docstring(ast.parse((ROOT / room.replace(".", "/") / "__init__.py").read_text())) or ""


def named(room: str, words: str) -> set[str]:
    """Full names of the modules in backticks, which leave out the folders that a room and they have in common."""
    known, found = {name for package in PACKAGES for name in modules(package)}, set()
    parts = room.split(".")
    for word in re.findall(r"`([^`]+)`", words):
        full = [".".join([*parts[:depth], word]) for depth in range(len(parts))]
        there = [name for name in full if name in known]
        assert there, f"{room} speaks of {word}, which is no module"
        found.add(there[-1])
    return found


def inside(module: str, rooms: set[str]) -> bool:
    return any(f"{module}.".startswith(f"{room}.") for room in rooms)


def plain_files() -> set[str]:
    """Files beside the folders of `agss_model` that every room there may import unnamed."""
    return named("agss_model.any", re.search(r"the plain files (.+?)[.;]", said("agss_model"), re.DOTALL)[1])


def test_plain_files_import_each_other_only():
    known, plain = modules("agss_model"), plain_files()
    assert {o for name in plain for o in imported(known[name], when_loaded=False) & known.keys()} <= plain


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_comes_in_what_goes_out_and_what_it_imports(room):
    """The rooms in the sentence "May import ..." are those that its modules import; "but" takes some out of one."""
    words = said(room)
    assert re.search(IN, words)
    assert re.search(OUT, words)
    sentence = re.search(r"May\s+import\s+(.+?)[.;](\s|$)", words, re.DOTALL)[1]
    allowed, _, denied = re.sub(r"\s+", " ", sentence).partition(" but ")
    allowed, denied = named(room, allowed), named(room, denied)
    above = {room.rsplit(".", depth)[0] for depth in range(room.count(".") + 1)} | set(PACKAGES)
    known = {name: path for package in PACKAGES for name, path in modules(package).items()}
    others = {
        other
        for name, path in known.items()
        if inside(name, {room})
        for other in imported(path, when_loaded=False) & known.keys() - above - plain_files()
        if not inside(other, {room})
    }
    unnamed = {other for other in others if not inside(other, allowed) or inside(other, denied)}
    assert not unnamed, "imported, and not in its docstring"
    idle = {name for name in allowed if not any(inside(other, {name}) for other in others)}
    assert not idle, "in its docstring, and not imported"


@cache
def defined(path: Path) -> set[str]:
    """Names that a module has: what it assigns, defines or imports, not what its functions and classes do."""
    names, todo = set(), list(ast.parse(path.read_text()).body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    return names


def with_programs(tree: ast.Module) -> Iterator[ast.AST]:
    """All nodes, those of programs in strings included, as tests start them in other processes."""
    for node in ast.walk(tree):
        yield node
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import " in node.value:
            with suppress(SyntaxError, ValueError):
                yield from ast.walk(ast.parse(textwrap.dedent(node.value)))


def test_what_one_module_takes_from_another_is_there():
    """Also what a function, a test or a program in a string imports: a rename is not found out half an hour later."""
    known = {name: path for package in PACKAGES for name, path in modules(package).items()}
    lazy = set(re.findall(r"\w+", re.search(r"__all__ = \[(.*?)\]", known["agss_model"].read_text())[1]))
    lacking = set()
    for path in [*known.values(), *sorted((ROOT / "tests").rglob("*.py"))]:
        for node in with_programs(ast.parse(path.read_text())):
            if not (isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES):
                continue
            names = {alias.name for alias in node.names if f"{node.module}.{alias.name}" not in known}
            has = defined(known[node.module]) if node.module in known else set()
            has |= lazy if node.module == "agss_model" else set()
            lacking |= {(str(path.relative_to(ROOT)), node.module, name) for name in names - has}
    assert not lacking


def test_no_two_classes_have_one_name():
    """In all packages together; whether a name begins with an underscore makes no difference."""
    homes: dict[str, list[str]] = {}
    for package in PACKAGES:
        for module, path in modules(package).items():
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    homes.setdefault(node.name.lstrip("_"), []).append(module)
    assert {name: where for name, where in homes.items() if len(where) > 1}.keys() == PARTS_OF_BOTH_NETWORKS


def test_no_two_files_of_tests_have_one_name():
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert len(names) == len(set(names)), "pytest imports them as modules without a package"


def test_no_test_imports_from_a_conftest():
    """There are several of that name, and which one it is depends on what is collected together."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        assert "conftest" not in imported(path, when_loaded=False), path


def test_what_files_that_are_not_python_must_repeat_is_the_same_there():
    version = re.search(r'__version__ = "(.+)"', (ROOT / "agss_model/__init__.py").read_text())[1]
    assert f"\nversion: {version}\n" in (ROOT / "fiftyone_plugin/plugin/fiftyone.yml").read_text()
    form = r"TOLERANCE = \{ least: ([\d.]+), most: ([\d.]+), usual: ([\d.]+) \}"
    numbers = re.search(form, (ROOT / "serverless/cvat_ui/src/settings.js").read_text()).groups()
    assert tuple(map(float, numbers)) == (LEAST, MOST, TOLERANCE)


def test_every_module_that_a_walk_names_is_there():
    """In the tables of docs/architecture.md; a name may leave out the folders before it."""
    page = (ROOT / "docs/architecture.md").read_text()
    walks = page[page.index("## Five walks") : page.index("## How long")]
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py")}
    for stop in re.findall(r"^\| (`.+?) \|", walks, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", stop):
            assert name == "network/..." or any(f"/{file}".endswith(f"/{name}.py") for file in files), name
