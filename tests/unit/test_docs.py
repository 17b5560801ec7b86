"""What the documents say is there."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests import experiments
from loadtests.analysis import verdict
from loadtests.host import topology
from loadtests.model import knobs
from loadtests.model.units import digits
from loadtests.report import claims
from loadtests.report.plots import PLOTS
from services.aggregator.variants import STRATEGIES, VARIANTS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
COMPOSE = topology.text()
MAKEFILE = (ROOT / "Makefile").read_text()
PICTURES = ROOT / "docs" / "pictures"


@pytest.mark.parametrize("knob", [knob.variable for knob in knobs.KNOBS])
def test_every_knob_is_in_the_readme_and_has_its_default_in_compose_yaml(knob: str) -> None:
    assert f"{knob}=" in README
    assert f"${{{knob}:-" in COMPOSE


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_is_in_the_readme_with_its_path(name: str) -> None:
    assert f"| `{name}` | `{STRATEGIES[name].url_path}` |" in README


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_in_the_house_plan(name: str) -> None:
    assert re.search(rf"^\| .*`{name}`.* \|", ARCHITECTURE, flags=re.MULTILINE)


@pytest.mark.parametrize("name", experiments.catalogue())
def test_every_experiment_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README
    assert experiments.find(name).question.endswith("?")


def test_the_readme_says_of_each_experiment_who_is_ahead_and_it_is_not_always_asgi() -> None:
    rows = dict(
        re.findall(r"^\| \[`([a-z-]+)`\]\(docs/experiments.md#[a-z-]+\) \| ([^|]+) \|", README, flags=re.MULTILINE)
    )
    assert set(rows) >= set(experiments.catalogue())
    assert sum("**tie**" in ahead or "**WSGI**" in ahead for ahead in rows.values()) >= 4


def test_the_claims_are_those_of_the_experiments_and_every_one_has_a_verdict() -> None:
    text = (ROOT / "docs" / "claims.md").read_text()
    for name, experiment in experiments.catalogue().items():
        for claim in experiment.claims:
            [row] = [line for line in text.splitlines() if f"| {claim.text.replace('|', chr(92) + '|')} |" in line]
            assert f"| `{name}` |" in row
    assert "not measured" not in text
    assert "QUICK=1" not in text, "claims.md is from a run of full length"


def test_every_default_is_written_once_and_explained() -> None:
    defaults = re.findall(r"\$\{(\w+):-", COMPOSE)
    assert len(defaults) == len(set(defaults))
    for name in defaults:
        line = next(line for line in COMPOSE.splitlines() if f"${{{name}:-" in line)
        explained = "#" in line or name.endswith(("_PORT", "_WORKERS", "_THREADS", "_MEMORY"))
        assert explained, f"{name} has no comment"


@pytest.mark.parametrize("command", re.findall(r"^([a-z]+):.*## ", MAKEFILE, flags=re.MULTILINE))
def test_every_command_of_the_makefile_is_documented(command: str) -> None:
    if command not in {"help", "clean", "lock", "picture"}:
        assert f"make {command}" in README


@pytest.mark.parametrize("command", sorted(set(re.findall(r"[`$] ?make ([a-z]+)", README))))
def test_every_command_of_the_readme_is_in_the_makefile(command: str) -> None:
    assert re.search(rf"^{command}:", MAKEFILE, flags=re.MULTILINE)


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"\b([A-Z]+(?:_[A-Z]+)*)=", README))))
def test_every_variable_of_the_readme_is_read_somewhere(variable: str) -> None:
    sources = [COMPOSE, *(path.read_text() for path in (ROOT / "loadtests").rglob("*.py"))]
    options = {"EXPERIMENT", "QUICK", "USERS", "REPEATS", "RUNTIME"}
    assert variable in options or any(variable in source for source in sources)


def test_the_house_plan_shows_the_tree_that_is_there() -> None:
    drawn = ARCHITECTURE.partition("README.md   ")[2].partition("```")[0]
    for folder in ("services", "loadtests"):
        for path in (ROOT / folder).rglob("*.py"):
            shown = path.name in drawn or path.parent.name in {"experiments", "analysis"} or path.name == "__init__.py"
            assert shown, f"{path.relative_to(ROOT)} is not in docs/architecture.md"
    for name in re.findall(r"\b([a-z_]+\.py)\b", drawn):
        assert list(ROOT.glob(f"*/**/{name}")), f"{name} is in docs/architecture.md only"


FRAGMENTS = {"A", "All", "An", "And", "As", "At", "By", "For", "From", "How", "In", "It", "Its", "None", "Of", "Raises"}
FRAGMENTS |= {
    "So",
    "The",
    "These",
    "Those",
    "What",
    "When",
    "Where",
    "Whether",
    "Which",
    "Who",
    "Whoever",
    "Why",
    "With",
}


@pytest.mark.parametrize("wing", ["services", "loadtests", "benchmarks"])
def test_the_docstring_of_a_function_begins_with_an_imperative(wing: str) -> None:
    for path in (ROOT / wing).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (text := ast.get_docstring(node)):
                where = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                assert text[0].isupper(), where
                assert text.split()[0].strip(",.:;") not in FRAGMENTS, where


def test_every_check_is_in_the_house_plan() -> None:
    for name in verdict.WHY:
        assert name == "one target at a time" or f"| {name} |" in ARCHITECTURE, name


def test_every_plot_has_a_caption_that_says_how_to_read_it() -> None:
    assert all(len(plot.caption) > 80 for plot in PLOTS.values())


def test_the_readmes_figures_are_those_of_the_run_that_made_its_picture() -> None:
    summary = json.loads((PICTURES / "external-concurrency.summary.json").read_text())
    assert (PICTURES / "external-concurrency.png").stat().st_size > 10_000
    assert summary["verdict"]["status"] == "confirmed"
    assert str(summary["manifest"]["machine"]["cpu"]) in README, "the machine that the figures are from"
    assert " ".join(summary["verdict"]["sentence"].split()) in " ".join(README.replace("\n> ", " ").split())


def test_the_claims_are_written_from_the_figures_that_are_kept_beside_them() -> None:
    figures = json.loads((ROOT / "docs" / "claims.json").read_text())
    catalogue = experiments.catalogue()
    found = [claims.Result(catalogue[name], summary) for name, summary in figures["runs"].items()]
    assert (ROOT / "docs" / "claims.md").read_text() == claims.document(found, figures["command"])


MEASURED = re.compile(r"\[([\d.,]+) (ms|s|pages/s)\]\((?:docs/)?([\w/.-]+\.json)#(/[^)]+)\)")


@pytest.mark.parametrize(("document", "fewest"), [("README.md", 1), ("docs/method.md", 3), ("docs/scale.md", 15)])
def test_a_measured_figure_is_the_one_that_its_link_points_to(document: str, fewest: int) -> None:
    """The fragment is a JSON pointer (RFC 6901), without escapes."""
    measured = MEASURED.findall((ROOT / document).read_text())
    assert len(measured) >= fewest
    for figure, unit, file, pointer in measured:
        value = json.loads((ROOT / "docs" / file).read_text())
        for key in pointer[1:].split("/"):
            value = value[int(key) if isinstance(value, list) else key]
        assert figure == digits(value * 1000 if unit == "ms" else value), f"{document}: {pointer}"


def test_what_the_api_and_the_load_generator_take_of_a_page_is_what_both_take_together() -> None:
    """summary.json has their sum, and the api's CPU in the window."""
    row = re.compile(r"#/runs/([\w-]+)/arms/(\d)/steps/(\d)/cpu_beside\) \| ([\d.]+) ms \| ([\d.]+) ms \|")
    rows = row.findall((ROOT / "docs" / "scale.md").read_text())
    assert len(rows) >= 4
    runs = json.loads((ROOT / "docs" / "claims.json").read_text())["runs"]
    for name, arm, step, api, generator in rows:
        kept = runs[name]["arms"][int(arm)]["steps"][int(step)]
        of_api = kept["inside"]["api_cpu_seconds"] / (kept["pages"] + kept["failures"])
        assert (api, generator) == (f"{1e3 * of_api:.2f}", f"{1e3 * (kept['cpu_beside'] - of_api):.2f}"), name


def test_the_links_of_the_documents_lead_somewhere() -> None:
    for document in (ROOT / "README.md", ROOT / "docs" / "architecture.md", ROOT / "docs" / "scale.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("group", ["api", "aggregator", "loadtests", "lab", "dev"])
def test_a_package_that_pyproject_names_is_locked(group: str) -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    lock = (ROOT / "requirements" / f"{group}.txt").read_text()

    def packages(name: str) -> Iterator[str]:
        for needed in groups[name]:
            if isinstance(needed, dict):
                yield from packages(needed["include-group"])
            else:
                yield re.split(r"[^\w.-]", needed)[0].lower()

    missing = {name for name in packages(group) if not re.search(rf"^{re.escape(name)}(\[.*\])?==", lock, re.MULTILINE)}
    assert not missing, "make lock"


def test_locks_agree_and_name_no_index() -> None:
    pins: dict[str, str] = {}
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text()
        assert "index-url" not in text
        assert "http" not in re.sub(r"^[a-z0-9-]*http[a-z0-9-]*==", "", text, flags=re.MULTILINE)
        for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE):
            if name not in {"django", "numpy", "scipy"}:  # two of each, for two ranges of Python
                assert pins.setdefault(name, version) == version, f"{name} differs in {lock.name}"
    assert "django==6.1" in (ROOT / "requirements" / "aggregator.txt").read_text()
    assert "django==5.2" in (ROOT / "requirements" / "aggregator.txt").read_text()
