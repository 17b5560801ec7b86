"""The rules of the house (docs/architecture.md), as far as a program can see them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for wing in ("services", "loadtests") for path in (ROOT / wing).rglob("*.py"))
HTTP_CLIENTS = {"httpx", "httpx2", "aiohttp", "httpx_aiohttp", "requests", "urllib3"}
MAY_USE_HTTP_CLIENTS = {f"services/aggregator/{name}.py" for name in ("upstream", "clients", "pitfalls")}
LOCUST = {"locust", "gevent"}
LIVE_LOCUST = ("attach", "blueprint", "collector", "controls", "login", "server", "workers")
MAY_USE_LOCUST = {
    "loadtests/users.py",
    "loadtests/run.py",
    "loadtests/locustfile.py",
    *(f"loadtests/live/{name}.py" for name in LIVE_LOCUST),
}
PURE_LIVE = (
    *("calibration", "figures", "history", "origins", "presets", "second", "sentence", "stretch", "swarm", "tally"),
    "wanted",
)
PURE = [
    *(ROOT / "loadtests" / "analysis").glob("*.py"),
    ROOT / "loadtests" / "plan.py",
    ROOT / "loadtests" / "knobs.py",
    ROOT / "loadtests" / "page.py",
    *(ROOT / "loadtests" / "live" / f"{name}.py" for name in PURE_LIVE),
    ROOT / "services" / "api" / "behaviour.py",
    ROOT / "services" / "aggregator" / "parameters.py",
]
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


@pytest.mark.parametrize("path", [path for path in MODULES if name(path).startswith("loadtests/")], ids=name)
def test_only_the_load_generator_imports_locust(path: Path) -> None:
    if name(path) not in MAY_USE_LOCUST:
        assert not packages(path) & LOCUST


@pytest.mark.parametrize("path", PURE, ids=name)
def test_what_is_pure_does_no_io(path: Path) -> None:
    assert not set(imports(path)) & DOES_IO
    assert "open(" not in path.read_text(encoding="utf-8")


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
