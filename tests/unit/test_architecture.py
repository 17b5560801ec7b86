"""The rules of the house (docs/architecture.md), as far as a program can see them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for wing in ("services", "loadtests") for path in (ROOT / wing).rglob("*.py"))
HTTP_CLIENTS = {"httpx", "httpx2", "aiohttp", "httpx_aiohttp", "requests", "urllib3"}
MAY_USE_HTTP_CLIENTS = {f"services/aggregator/{name}.py" for name in ("article", "upstream", "clients", "pitfalls")}
LOCUST = {"locust", "gevent"}
LOCUST_ROOMS = {"generator", "live"}
PURE_LIVE = (
    *("calibration", "counts", "figures", "history", "origins", "presets", "requested", "second", "sentence"),
    *("steady_window", "swarm"),
)
PURE = [
    *(ROOT / "loadtests" / "model").glob("*.py"),
    *(ROOT / "loadtests" / "analysis").glob("*.py"),
    *(ROOT / "loadtests" / "experiments").glob("*.py"),
    ROOT / "loadtests" / "generator" / "plan.py",
    ROOT / "loadtests" / "generator" / "page.py",
    *(ROOT / "loadtests" / "live" / f"{name}.py" for name in PURE_LIVE),
    ROOT / "services" / "api" / "behaviour.py",
    ROOT / "services" / "aggregator" / "parameters.py",
]
# A room may import those before it.
ROOMS = ("errors", "model", "analysis", "experiments", "results", "report", "host", "generator", "live")
HOST_MAY_USE = {"errors", "model", "experiments", "results", "host"}
MOST_ROOMS = 15
DOES_IO = {"os", "sys", "socket", "subprocess", "urllib.request", "time", "shutil", "tempfile", "requests", "httpx"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(path: Path) -> set[str]:
    return {imported.partition(".")[0] for imported in imports(path)}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_the_wings_do_not_import_each_other(path: Path) -> None:
    other = "loadtests" if name(path).startswith("services/") else "services"
    assert other not in packages(path)


@pytest.mark.parametrize("path", [path for path in MODULES if name(path).startswith("services/")], ids=name)
def test_only_the_doors_to_the_api_import_an_http_client(path: Path) -> None:
    if name(path) not in MAY_USE_HTTP_CLIENTS:
        assert not packages(path) & HTTP_CLIENTS


def room(path: Path) -> str:
    """The folder below loadtests/ that the module is in, or the module itself."""
    return path.relative_to(ROOT / "loadtests").parts[0].removesuffix(".py")


LOADTESTS = [path for path in MODULES if name(path).startswith("loadtests/")]
every_module_of_loadtests = pytest.mark.parametrize("path", LOADTESTS, ids=name)


@every_module_of_loadtests
def test_only_the_load_generator_and_the_live_page_import_locust(path: Path) -> None:
    if room(path) not in {*LOCUST_ROOMS, "locustfile"}:
        assert not packages(path) & LOCUST


def rooms_imported(path: Path) -> set[str]:
    return {parts[1] for imported in imports(path) if (parts := imported.split("."))[0] == "loadtests" and parts[1:]}


@every_module_of_loadtests
def test_no_import_leads_from_a_room_to_one_after_it(path: Path) -> None:
    if (here := room(path)) in ROOMS:
        after = set(ROOMS[ROOMS.index(here) + 1 :])
        assert not rooms_imported(path) & {*after, "command_line", "locustfile"}


def test_the_house_has_few_rooms() -> None:
    rooms = {path.name for path in (ROOT / "loadtests").iterdir() if not path.name.startswith("__")}
    assert {"errors.py", *ROOMS[1:]} <= rooms
    assert len(rooms) <= MOST_ROOMS


@pytest.mark.parametrize("path", [path for path in LOADTESTS if room(path) == "host"], ids=name)
def test_the_host_imports_no_room_that_needs_a_package(path: Path) -> None:
    assert rooms_imported(path) <= {*HOST_MAY_USE, "ROOT"}


def test_the_host_runs_on_the_standard_library_alone() -> None:
    """With -S and in a process of its own: nothing that is installed can be imported."""
    modules = [f"loadtests.{name(path)[10:-3].replace('/', '.')}" for path in LOADTESTS if room(path) == "host"]
    imported = "; ".join(f"import {module}" for module in (*modules, "loadtests.command_line", "loadtests.experiments"))
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {imported}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not ended.returncode, ended.stderr


@pytest.mark.parametrize("path", PURE, ids=name)
def test_what_is_pure_does_no_io(path: Path) -> None:
    assert not set(imports(path)) & DOES_IO
    assert not re.search(r"\bopen\(", path.read_text(encoding="utf-8"))


def test_there_are_no_import_circles() -> None:
    graph = {}
    for path in MODULES:
        module = name(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        graph[module] = {
            imported for imported in imports(path) if imported.partition(".")[0] in {"services", "loadtests"}
        }

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join((*trail, module))
        for imported in graph.get(module, ()):
            if imported in graph and imported != module:
                visit(imported, (*trail, module))

    for module in graph:
        visit(module, ())


GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
DISTRIBUTIONS = packages_distributions()


def distributions(*groups: str) -> set[str]:
    """What the groups declare, without the groups that they include."""
    words = (word for group in groups for word in GROUPS[group] if isinstance(word, str))
    return {re.split(r"[\[<>=;]", word)[0].lower() for word in words}


@pytest.mark.parametrize(("wing", "groups"), [("services", ("api", "aggregator")), ("loadtests", ("loadtests", "lab"))])
def test_what_a_wing_imports_is_declared(wing: str, groups: tuple[str, ...]) -> None:
    imported = set().union(*(packages(path) for path in MODULES if name(path).startswith(f"{wing}/")))
    for package in imported - sys.stdlib_module_names - {"services", "loadtests"}:
        names = {distribution.lower().replace("_", "-") for distribution in DISTRIBUTIONS[package]}
        assert names & distributions(*groups), package
