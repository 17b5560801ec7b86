"""Projects of somebody's own, measured without Docker by one command each."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.request import Request, urlopen

import jsonschema
import pytest

from loadtests.errors import ExitCode
from loadtests.host.processes import free_port
from loadtests.model import workload
from tests.integration.waiting import wait_until
from tests.runs import Ended, Lab, children_of, one_line, says_its_verdict

QUICK = ("run", "--runtime=process", "--quick")
CLASSES = "from locust import HttpUser, LoadTestShape, task"
SETUP = "python manage.py migrate && python manage.py fill"


@pytest.fixture
def lab_command(clean_environment: dict[str, str], tmp_path: Path) -> Lab:
    return Lab(clean_environment, tmp_path / "results")


def project(name: str, root: Path, tmp_path: Path) -> Path:
    """A copy, which serves with the lab's packages."""
    copy = tmp_path / name
    shutil.copytree(root / "tests" / "projects" / name, copy, ignore=shutil.ignore_patterns("requirements.txt"))
    return copy


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_project_of_one_file_is_held_at_its_slots_under_wsgi_and_not_under_asgi(
    lab_command: Lab, root: Path, tmp_path: Path
) -> None:
    ended = lab_command.run(
        *QUICK, "--users=1,20", APP=str(project("tiny", root, tmp_path)), SETTINGS="tiny", WSGI_THREADS="4"
    )
    says_its_verdict(ended)
    summary = ended.summary
    jsonschema.validate(summary, json.loads((root / "docs" / "summary.schema.json").read_text()))
    assert [(arm["target"], arm["slots"]) for arm in summary["arms"]] == [("wsgi-own", 4), ("asgi-own", None)]
    (_, wsgi), (_, asgi) = (arm["steps"] for arm in summary["arms"])
    assert wsgi["failures"] == asgi["failures"] == 0
    assert wsgi["predicted"]["bottleneck"] == "slots"
    assert wsgi["response_time"]["p50"] > asgi["response_time"]["p50"] >= 0.2
    assert wsgi["inside"]["most_pages_in_flight"] <= 4 < asgi["inside"]["most_pages_in_flight"]
    assert "Views: /async/ async." in one_line(ended.output)


def test_a_project_with_a_login_and_a_form_is_left_as_it_was_and_its_secrets_stay_its_own(
    lab_command: Lab, root: Path, tmp_path: Path
) -> None:
    notes = project("notes", root, tmp_path)
    metrics = tmp_path / "its own metrics"
    metrics.mkdir()
    with (notes / "project.env").open("a") as variables:
        variables.write(f'\nPROMETHEUS_MULTIPROC_DIR="{metrics}"\n')
    before = files(notes)
    ended = lab_command.run(
        *QUICK, "--users=3", APP=str(notes), APP_ENV="project.env", APP_HOST="notes.example", APP_SETUP=SETUP
    )
    says_its_verdict(ended)
    steps = [step for arm in ended.summary["arms"] for step in arm["steps"]]
    assert [[page["name"] for page in step["by_page"]] for step in steps] == [["index", "note", "write"]] * 2
    assert all(step["failures"] == 0 for step in steps)
    assert "page at the highest load" in ended.output
    assert steps[-1]["inside"]["loop_lag_p99"] is not None, "what the lab counts is not among the project's own"
    assert files(metrics) == {}
    assert files(notes) == before
    assert not list((tmp_path / "tmp").glob("lab-own-*"))
    left = b"".join(files(lab_command.results).values())
    assert b"nobody's business" not in left
    assert b"lovelace" not in left


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def refused(ended: Ended) -> str:
    assert ended.code == ExitCode.NOT_UP, ended.output
    return one_line(ended.output)


def test_a_page_that_answers_200_with_an_error_is_not_measured(lab_command: Lab, root: Path, tmp_path: Path) -> None:
    ended = lab_command.run(*QUICK, APP=str(project("polite", root, tmp_path)), SETTINGS="polite")
    assert "the page weather of wsgi-own is not whole when one user asks for it: 'degrees' is not" in refused(ended)


def test_settings_that_do_not_import_end_with_the_reason_and_what_to_do(
    lab_command: Lab, root: Path, tmp_path: Path
) -> None:
    said = refused(lab_command.run(*QUICK, APP=str(project("broken", root, tmp_path))))
    assert "the project does not load under" in said
    assert "SETTINGS=broken.settings: KeyError('BROKEN_SECRET_KEY')" in said
    assert "set APP_ENV to that file" in said


def test_a_setup_that_fails_ends_with_its_last_words(lab_command: Lab, root: Path, tmp_path: Path) -> None:
    said = refused(
        lab_command.run(
            *QUICK, APP=str(project("tiny", root, tmp_path)), SETTINGS="tiny", APP_SETUP="echo no database; exit 7"
        )
    )
    assert "no database" in said


def test_a_setup_that_is_interrupted_is_stopped_with_all_that_it_started(
    lab_command: Lab, root: Path, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    with lab_command.started(
        *QUICK,
        APP=str(project("tiny", root, tmp_path)),
        SETTINGS="tiny",
        APP_SETUP=f"(sleep 600; true) & touch {begun}; sleep 600; true",
    ) as process:
        lab_command.wait_for(begun.exists)
        started = children_of(process)
        ended = lab_command.interrupt(process)
    assert ended.code == ExitCode.INTERRUPTED, ended.output
    wait_until(lambda: not any(child.is_running() and child.status() != "zombie" for child in started))
    assert not list((tmp_path / "tmp").glob("lab-own-*"))


def test_upstreams_are_replayed_and_their_calls_are_counted(lab_command: Lab, root: Path, tmp_path: Path) -> None:
    ended = lab_command.run(
        *QUICK, "--users=2", APP=str(project("travel", root, tmp_path)), SETTINGS="travel", UPSTREAMS="upstreams.toml"
    )
    says_its_verdict(ended)
    for arm in ended.summary["arms"]:
        [step] = arm["steps"]
        assert step["failures"] == 0
        assert step["response_time"]["p50"] >= 0.3  # the slower of two calls that are made at once
        assert step["inside"]["api_calls_answered"] >= 2 * (step["pages"] - 2)
        assert step["inside"]["api_lateness_p99"] is not None
    assert "No upstream answers" not in ended.output


def test_upstreams_under_their_own_names_need_containers(lab_command: Lab, root: Path, tmp_path: Path) -> None:
    travel = project("travel", root, tmp_path)
    said = refused(lab_command.run(*QUICK, APP=str(travel), SETTINGS="travel", UPSTREAMS="hosts.toml"))
    assert "UPSTREAMS has a host (as processes: variable), and the lab runs as processes: set RUNTIME=docker" in said


def test_the_live_page_offers_the_pages_of_a_project(lab_command: Lab, root: Path, tmp_path: Path) -> None:
    tiny = project("tiny", root, tmp_path)
    with lab_command.started("up", "--runtime=process", APP=str(tiny), SETTINGS="tiny") as process:
        assert process.stdout
        line = next(line for line in iter(process.stdout.readline, "") if "press Start" in line)
        url = line.split()[1]
        page = fetched(url)
        names = [name for _, name in re.findall(r"<option( selected)?>([^<]+)</option>", page)]
        assert names == ["pages", *(one.name for one in workload.of_file((tiny / "pages.toml").read_bytes(), "").pages)]
        assert 'type="number" name="latency"' not in page, "it is measured, and nothing to be turned"
        knobs = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))
        assert knobs["fan_out"] == "1"
        assert float(knobs["latency"]) > 0
        load = {**knobs, "users": 2, "targets": ["wsgi-own", "asgi-own"], "strategy": names[1]}
        fetched(f"{url}/start", json.dumps(load).encode())
        wait_until(lambda: fetched(f"{url}/data").count(" pages/s, ") >= 2)
        assert "failures" not in fetched(f"{url}/data")
        ended = lab_command.interrupt(process)
    assert ended.code == ExitCode.CONFIRMED
    assert not list((tmp_path / "tmp").glob("lab-*"))


def fetched(url: str, sent: bytes | None = None) -> str:
    headers = {"Origin": url.rpartition("/compare")[0], "Content-Type": "application/json"}
    with urlopen(Request(url, sent, headers), timeout=10) as response:  # noqa: S310  # http
        return str(response.read().decode())


def test_a_call_that_no_upstream_answers_is_named(lab_command: Lab, root: Path, tmp_path: Path) -> None:
    travel = project("travel", root, tmp_path)
    text = (travel / "upstreams.toml").read_text()
    (travel / "upstreams.toml").write_text(text.replace("/forecast/*", "/other/*"))
    said = refused(lab_command.run(*QUICK, APP=str(travel), SETTINGS="travel", UPSTREAMS="upstreams.toml"))
    assert "the page trip of wsgi-own is not whole when one user asks for it: degrees is not 21" in said
    assert "they got a 502: GET /weather/forecast/" in said


def test_a_host_that_the_project_does_not_accept_is_named(lab_command: Lab, root: Path, tmp_path: Path) -> None:
    notes = project("notes", root, tmp_path)
    said = refused(lab_command.run(*QUICK, APP=str(notes), APP_ENV="project.env", APP_SETUP=SETUP))
    assert "status 400, not 200. ALLOWED_HOSTS is ['notes.example']: set APP_HOST=" in said


def test_a_locustfile_runs_as_it_is_and_its_rows_say_what_they_check(
    lab_command: Lab, root: Path, tmp_path: Path
) -> None:
    ended = lab_command.run(
        *QUICK, "--users=6", APP=str(project("tiny", root, tmp_path)), SETTINGS="tiny", LOCUSTFILE="locustfile.py"
    )
    says_its_verdict(ended)
    steps = [step for arm in ended.summary["arms"] for step in arm["steps"]]
    assert [[page["name"] for page in step["by_page"]] for step in steps] == [["GET /async/", "GET checked"]] * 2
    assert all(step["failures"] == 0 and step["think"] > 0 for step in steps)
    assert "Checked by their status alone: GET /async/. A page" in one_line(ended.output)


def test_several_load_generators_have_the_users_of_a_locustfile_that_one_would_have(
    lab_command: Lab, root: Path, tmp_path: Path
) -> None:
    tiny, imports = project("tiny", root, tmp_path), tmp_path / "imports"
    user = "(HttpUser):\n    wait_time = constant(0.1)\n    @task\n    def ask(self): self.client.get('/async/', name="
    (tiny / "locustfile.py").write_text(
        f"from locust import HttpUser, constant, task\nopen({str(imports)!r}, 'a').write('.')\n"
        f"class Reader{user}'read')\nReader.weight = 9\nclass Writer{user}'write')\n"
    )
    ended = lab_command.run(
        *QUICK, "--users=10", "--generators=5", APP=str(tiny), SETTINGS="tiny", LOCUSTFILE="locustfile.py"
    )
    steps = [step for arm in ended.summary["arms"] for step in arm["steps"]]
    assert [[page["name"] for page in step["by_page"]] for step in steps] == [["GET read", "GET write"]] * 2
    assert "Checked by their status alone: GET read, GET write. A page" in one_line(ended.output)
    assert imports.read_text() == "." * 6, "once in each process: what it listens to is heard once, in every step"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_package", "LOCUSTFILE cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(0)", "LOCUSTFILE cannot be imported: SystemExit"),
        ("users = 3", "LOCUSTFILE has no user class"),
        (
            f"{CLASSES}\nclass A(HttpUser): pass\nclass B(LoadTestShape):\n    def tick(self): return None",
            "LOCUSTFILE has a LoadTestShape",
        ),
        (
            f"{CLASSES}\nclass A(HttpUser):\n    @task\n    def ask(self): self.client.get('/no')",
            "a request of one user failed at wsgi-own: 404",
        ),
    ],
    ids=["import", "exit", "nothing", "shape", "failure"],
)
def test_a_locustfile_that_cannot_be_used_is_refused_with_the_reason(
    text: str, said: str, lab_command: Lab, root: Path, tmp_path: Path
) -> None:
    tiny = project("tiny", root, tmp_path)
    (tiny / "locustfile.py").write_text(text)
    ended = lab_command.run(*QUICK, APP=str(tiny), SETTINGS="tiny", LOCUSTFILE="locustfile.py")
    assert said in refused(ended)


def test_deployments_that_run_already_are_seen_from_outside_alone(lab_command: Lab, root: Path, tmp_path: Path) -> None:
    served = project("tiny", root, tmp_path)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "--threads=4", "--no-control-socket"]
    application = "django.core.wsgi:get_wsgi_application()"
    environment = {"DJANGO_SETTINGS_MODULE": "tiny", "PATH": os.environ["PATH"]}
    with subprocess.Popen([*command, application], cwd=served, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: answers(port), 30)
            ended = lab_command.run(
                *QUICK, "--users=1,8", TARGETS=f"wsgi=http://127.0.0.1:{port}", PAGES=str(served / "pages.toml")
            )
        finally:
            server.terminate()
    says_its_verdict(ended)
    [arm] = ended.summary["arms"]
    assert (arm["target"], arm["slots"], arm["server"]) == ("wsgi", None, "started elsewhere")
    assert all(step["predicted"]["goodput"] is None and step["cpu_per_page"] is None for step in arm["steps"])
    assert not {"pages", "calls"} & {check["name"] for check in ended.summary["checks"]}
    assert f"The load goes to wsgi at http://127.0.0.1:{port}: up to 8 users at a time." in one_line(ended.output)
    assert "What limits them is not known." in ended.summary["verdict"]["sentence"] or ended.code == ExitCode.INVALID


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ("wsgi=http://192.0.2.1:80", "is not on this machine (192.0.2.1)"),
        ("wsgi=http://no-such-host.invalid", "the host of wsgi at"),
        ("wsgi=https://127.0.0.1", "TARGETS must be words like"),
        ("wsgi=http://user:secret@127.0.0.1", "TARGETS must be words like"),
        ("wsgi=http://127.0.0.1:1 wsgi=http://127.0.0.1:2", "names wsgi twice"),
    ],
)
def test_load_does_not_leave_this_machine_unasked(targets: str, said: str, lab_command: Lab, root: Path) -> None:
    pages = root / "tests" / "projects" / "tiny" / "pages.toml"
    assert said in refused(lab_command.run(*QUICK, TARGETS=targets, PAGES=str(pages)))
