"""`make loadtest` in containers."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import pytest
from playwright.sync_api import Browser

from loadtests.errors import ExitCode
from loadtests.model.experiment import STANDARD_PLOTS
from tests.e2e.conftest import PROJECT, RUN_PROJECT, own_project
from tests.runs import LONGEST, Ended, Lab, one_line, refused, says_its_verdict

SMALL = ("run", "--quick", "--users=1,30", "--latency=0.2")


def containers(project: str) -> list[str]:
    words = ["docker", "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={project}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture
def ended(docker_lab: Lab) -> Ended:
    return docker_lab.run(*SMALL)


def test_a_run_ends_with_its_verdict_its_report_opens_offline_and_nothing_is_left_up(
    ended: Ended, root: Path, browser: Browser
) -> None:
    says_its_verdict(ended)
    summary = ended.summary
    jsonschema.validate(summary, json.loads((root / "docs" / "summary.schema.json").read_text()))
    assert summary["runtime"] == "docker"
    wsgi, asgi = (arm["steps"][1]["inside"]["most_pages_in_flight"] for arm in summary["arms"])
    assert 0 < wsgi <= 10 < asgi
    service = summary["manifest"]["services"]["wsgi"]
    assert (service["cpus"], service["memory_bytes"]) == (1, 512 * 1024**2)
    assert containers(RUN_PROJECT) == []
    assert ended.folder.stat().st_uid == ended.results.stat().st_uid

    page = browser.new_context(offline=True).new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto((ended.folder / "report.html").as_uri())
    page.wait_for_selector(".js-plotly-plot .scatterlayer .trace")
    assert page.locator(".js-plotly-plot").count() == len(STANDARD_PLOTS) + 2  # and two of all pages
    assert summary["verdict"]["headline"] in page.inner_text("body")
    assert complaints == []
    page.context.close()


def test_load_generators_in_containers_of_their_own_share_the_load_and_one_that_is_lost_is_named(
    docker_lab: Lab,
) -> None:
    with docker_lab.started(*SMALL, "--users=30", "--latency=1", "--generators=3") as process:
        docker_lab.wait_for(lambda: len(busy(f"{RUN_PROJECT}-locust-worker")) == 3)
        lost = busy(f"{RUN_PROJECT}-locust-worker")[0]
        kill = ["docker", "kill", lost]
        subprocess.run(kill, check=True, capture_output=True)
        output, _ = process.communicate(timeout=LONGEST)
    ended = Ended(process.returncode, output, docker_lab.results)
    [check] = [check for check in ended.summary["checks"] if not check["passed"] and check["name"] == "load generators"]
    assert f"of {lost[:12]}) was lost" in check["value"]
    assert ended.code == ExitCode.INVALID
    [step] = [step for arm in ended.summary["arms"] for step in arm["steps"]]
    assert step["pages"] > 0, "what the others measured"
    assert containers(RUN_PROJECT) == []


def busy(name: str) -> list[str]:
    """The ids of the containers of this name that have connections."""
    words = ["docker", "ps", "--no-trunc", "--quiet", "--filter", f"name={name}"]
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    return [one for one in found if connections(one) > 3]


def connections(container: str) -> int:
    """How many TCP connections are established in it."""
    read = ["docker", "exec", container, "python", "-c", "print(open('/proc/net/tcp').read())"]
    table = subprocess.run(read, capture_output=True, text=True, check=False).stdout
    return sum(line.split()[3] == "01" for line in table.splitlines()[1:] if line)


def test_interrupted_it_keeps_what_it_measured_and_stops_what_it_started(docker_lab: Lab) -> None:
    with docker_lab.started(*SMALL) as process:
        docker_lab.wait_for(docker_lab.raw_files)
        ended = docker_lab.interrupt(process)
    assert ended.code == 130
    assert not ended.summary["complete"]
    assert "it was interrupted" in one_line(ended.output)
    assert (ended.folder / "report.html").exists()
    assert containers(RUN_PROJECT) == []


def test_a_taken_port_is_named_with_its_variable(docker_lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = docker_lab.run(*SMALL, WSGI_PORT=str(port))
    assert ended.code == 3
    assert f"port {port}, which wsgi needs, is taken" in ended.output
    assert containers(RUN_PROJECT) == []


def test_a_service_that_does_not_start_is_named_with_its_last_words(docker_lab: Lab) -> None:
    ended = docker_lab.run(*SMALL, "--experiment=database", DATABASE_URL="mysql://lab@db/pages")
    assert ended.code == 3
    assert "-database is not healthy" in ended.output
    assert "DATABASE_URL must be like" in ended.output
    assert containers(RUN_PROJECT) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("starved", "names", "remedy"),
    [
        ({"API_CPUS": "0.08", "LATENCY": "0.1"}, ("api response time", "CPU throttling"), "raise API_CPUS=."),
        ({"LOCUST_CPUS": "0.2", "LATENCY": "0.1"}, ("CPU throttling",), "raise LOCUST_CPUS=."),
        # 40 pages of ten calls keep 440 threads as long as calls are slow: 119 MB by what the limit counts, and 91 MB
        # by the target's processes, which alone would pass. The kernel ends it with 104m.
        (
            {"AGGREGATOR_MEMORY": "118m", "WSGI_THREADS": "40", "LATENCY": "0.5"},
            ("memory",),
            "raise AGGREGATOR_MEMORY=",
        ),
    ],
    ids=["an api without CPU", "a generator without CPU", "a target without memory"],
)
def test_a_starved_part_makes_the_run_invalid_and_is_named(
    docker_lab: Lab, starved: dict[str, str], names: Sequence[str], remedy: str
) -> None:
    ended = docker_lab.run("run", "--quick", "--users=40", **starved)
    failed = [check for name in names for check in refused(ended, name)]
    assert any(remedy in check["remedy"] for check in failed)


def test_a_lab_that_is_up_is_left_alone_and_what_a_killed_run_left_is_cleaned_up(docker_lab: Lab) -> None:
    with docker_lab.started("up", **own_project(PROJECT)) as up:  # type: ignore[arg-type]  # variables are texts
        docker_lab.wait_for(lambda: up.stdout is not None and "press Start" in up.stdout.readline())
        lab = containers(PROJECT)
        with docker_lab.started("run", "--quick", "--users=1,5", "--latency=0.1") as run:
            docker_lab.wait_for(docker_lab.raw_files)
            run.kill()
            run.communicate(timeout=LONGEST)
        docker_lab.wait_for(lambda: list(docker_lab.results.glob("2*/report.html")))  # the generator ends by itself
        assert containers(RUN_PROJECT)
        ended = docker_lab.run("run", "--quick", "--experiment=database", DATABASE_URL="mysql://lab@db/pages")
        assert "Cleaning up after `make loadtest" in ended.output
        assert f"The lab that is up as {PROJECT} is left alone" in ended.output
        assert containers(RUN_PROJECT) == []
        assert containers(PROJECT) == lab
        second = docker_lab.run("up")
        assert (second.code, "the lab is in use on this machine: `make up`" in second.output) == (3, True)
    assert containers(PROJECT) == []
