"""A project of somebody's own, with packages of its own, measured in containers by one command."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from loadtests.errors import ExitCode
from tests.runs import Lab, one_line, says_its_verdict

PATIENCE = 120_000  # milliseconds; only a hang takes so long
SETUP = "python manage.py migrate && python manage.py fill"
SQLITE = {"APP_ENV": "project.env"}
POSTGRESQL = {"APP_ENV": "postgres.env", "APP_COMPOSE": "lab.yaml"}


@pytest.mark.parametrize("variables", [SQLITE, POSTGRESQL], ids=["sqlite", "postgresql"])
def test_a_project_with_packages_a_login_and_a_database_runs_as_it_is(
    variables: dict[str, str], docker_lab: Lab, root: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    shutil.copytree(root / "tests" / "projects" / "notes", notes)
    before = {path: path.read_bytes() for path in notes.rglob("*") if path.is_file()}
    ended = docker_lab.run(
        "run", "--quick", "--users=3", APP=str(notes), APP_HOST="notes.example", APP_SETUP=SETUP, **variables
    )
    says_its_verdict(ended)
    summary = ended.summary
    steps = [step for arm in summary["arms"] for step in arm["steps"]]
    assert all(step["failures"] == 0 and step["pages"] for step in steps)
    assert all(len(step["by_page"]) == 3 for step in steps)
    assert all(step["cpu_per_page"] > 0 for step in steps)
    services = summary["manifest"]["services"]
    assert services["wsgi-own"]["memory_bytes"] == services["asgi-own"]["memory_bytes"] > 0
    assert "Views: / sync" in one_line(ended.output)
    assert {path: path.read_bytes() for path in notes.rglob("*") if path.is_file()} == before
    assert not list((tmp_path / "tmp").glob("lab-own-*"))
    left = b"".join(path.read_bytes() for path in ended.results.rglob("*") if path.is_file())
    assert b"nobody's business" not in left
    assert b"another secret" not in left
    assert ("postgres" in services) == (variables is POSTGRESQL)
    left_up = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.service=wsgi-own"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    assert not left_up.stdout


def test_a_project_of_one_file_is_measured(docker_lab: Lab, root: Path) -> None:
    ended = docker_lab.run(
        "run", "--quick", "--users=3", APP=str(root / "tests" / "projects" / "tiny"), SETTINGS="tiny"
    )
    says_its_verdict(ended)
    assert [arm["slots"] for arm in ended.summary["arms"]] == [10, None]


@pytest.mark.parametrize(
    ("name", "variables", "said"),
    [
        ("polite", {"SETTINGS": "polite"}, "is not whole when one user asks for it"),
        ("broken", {}, "the project does not load under"),
    ],
)
def test_a_project_that_cannot_be_measured_is_refused_with_the_reason(
    name: str, variables: dict[str, str], said: str, docker_lab: Lab, root: Path
) -> None:
    ended = docker_lab.run("run", "--quick", APP=str(root / "tests" / "projects" / name), **variables)
    assert ended.code == ExitCode.NOT_UP, ended.output
    assert said in one_line(ended.output)


def test_a_click_loads_a_project_on_the_live_page(
    browser: Browser, clean_environment: dict[str, str], root: Path, tmp_path: Path
) -> None:
    """Of local processes, which send a browser the same files as containers do."""
    lab = Lab(clean_environment, tmp_path / "results")
    tiny = root / "tests" / "projects" / "tiny"
    with lab.started("up", "--runtime=process", APP=str(tiny), SETTINGS="tiny") as process:
        assert process.stdout
        line = next(line for line in iter(process.stdout.readline, "") if "press Start" in line)
        page = browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
        page.goto(line.split()[1])
        page.locator("[name=users]").fill("3")
        page.locator("#start").click()
        expect(page.locator(".clause", has_text="pages/s")).to_have_count(2, timeout=PATIENCE)
        assert page.locator(".clause b").all_inner_texts() == ["WSGI", "ASGI"]
        assert not page.locator("#message.bad").count()
        page.keyboard.press("p")
        expect(page.locator("figure:visible")).to_have_count(2)
        expect(page.locator("#controls")).to_be_hidden()
        assert complaints == []
        page.close()
        ended = lab.interrupt(process)
    assert ended.code == ExitCode.CONFIRMED


APP, IMAGE = {"SETTINGS": "travel"}, {"WSGI_APP": "servers:wsgi", "ASGI_APP": "servers:asgi"}


@pytest.fixture(scope="module")
def travel_image(engine: None, root: Path) -> Iterator[str]:
    """An image of a project and its servers, which knows nothing of the lab."""
    name = "lab-test-travel:latest"
    docker("build", "--quiet", "--tag", name, str(root / "tests" / "projects" / "travel"))
    yield name
    docker("image", "rm", "--force", name)


@pytest.mark.parametrize("variables", [APP, IMAGE], ids=["project", "image"])
def test_upstreams_answer_under_their_own_names_with_tls(
    variables: dict[str, str], docker_lab: Lab, travel_image: str, root: Path, tmp_path: Path
) -> None:
    travel = tmp_path / "travel"
    shutil.copytree(root / "tests" / "projects" / "travel", travel)
    (travel / "travel.env").write_text("COLOUR=a-secret-$5\n")
    what = {"IMAGE": travel_image} if variables is IMAGE else {"APP": str(travel)}
    files = {"PAGES": str(travel / "pages.toml"), "UPSTREAMS": str(travel / "hosts.toml")}
    ended = docker_lab.run(
        "run", "--quick", "--users=4", APP_ENV=str(travel / "travel.env"), **files, **what, **variables
    )
    says_its_verdict(ended)
    summary = ended.summary
    steps = [step for arm in summary["arms"] for step in arm["steps"]]
    assert all(step["failures"] == 0 and step["pages"] for step in steps)
    assert all(step["response_time"]["p50"] > 0.3 for step in steps)
    assert all(step["cpu_per_page"] > 0 and step["inside"]["memory"] > 0 for step in steps)
    assert all(step["predicted"]["goodput"] > 0 for step in steps)
    assert [arm["slots"] for arm in summary["arms"]] == [10, None]
    assert ("is seen from outside" in one_line(ended.output)) == (variables is IMAGE)
    left = b"".join(path.read_bytes() for path in ended.results.rglob("*") if path.is_file())
    assert b"a-secret" not in left
    assert not list((tmp_path / "tmp").glob("lab-own-*"))


def test_an_image_that_the_engine_has_not_is_named(docker_lab: Lab, root: Path) -> None:
    travel = root / "tests" / "projects" / "travel"
    ended = docker_lab.run("run", "--quick", IMAGE="lab-test-nowhere:1", PAGES=str(travel / "pages.toml"), **IMAGE)
    assert ended.code == ExitCode.NOT_UP
    assert "build it, or pull it (docker pull lab-test-nowhere:1)" in one_line(ended.output)


def docker(*words: str) -> None:
    subprocess.run(["docker", *words], check=True, capture_output=True)  # noqa: S607
