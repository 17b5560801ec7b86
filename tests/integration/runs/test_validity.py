"""Each check fails for real: something is wrong with the lab, and the run says what and what to do about it.

What only a container's limits can bring about is in tests/e2e/test_loadtest.py. A check is named in the verdict's
sentence; others may fail beside it, because what spoils a measurement seldom spoils it in one way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from loadtests.errors import ExitCode
from loadtests.host.processes import ProcessRuntime
from loadtests.report.terminal import figures
from loadtests.results import manifest
from tests.processes import running, server_at
from tests.runs import LONGEST, ROOT, Ended, Lab, one_line, refused

QUICK = ("run", "--runtime=process", "--quick")

# A load generator whose wall clock is set forward by a second when a window is opened.
GENERATOR_WHOSE_CLOCK_IS_SET = """
import sys, time
from loadtests.generator.record import Recorder
right, opened = time.time, Recorder.open
def open_and_set(recorder):
    opened(recorder)
    time.time = lambda: right() + 1
Recorder.open = open_and_set
from loadtests.__main__ import main
sys.exit(main())
"""

# One that stops a server, whose process id it is told, for a second soon after a window is opened.
GENERATOR_THAT_STOPS_A_SERVER = """
import os, signal, sys
import gevent
from loadtests.generator.record import Recorder
server, opened = int(sys.argv.pop(1)), Recorder.open
def open_and_stop(recorder):
    opened(recorder)
    gevent.spawn_later(0.2, os.kill, server, signal.SIGSTOP)
    gevent.spawn_later(1.2, os.kill, server, signal.SIGCONT)
Recorder.open = open_and_stop
from loadtests.__main__ import main
sys.exit(main())
"""

# One that computes all the time beside its users, on two cores, because hashing lets go of the GIL. The threads are
# bare ones: Locust puts its own in the place of Python's.
GENERATOR_THAT_COMPUTES = """
import _thread, hashlib, sys
def compute():
    while True:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000)
for _ in range(2):
    _thread.start_new_thread(compute, ())
from loadtests.__main__ import main
sys.exit(main())
"""

# One that stands still for a moment whenever it reads metrics; this sleep is the one that Locust has not replaced.
GENERATOR_THAT_STALLS = """
import sys
from time import sleep
from loadtests.generator import sampler
read = sampler.read
def slowly(url):
    sleep(0.3)
    return read(url)
sampler.read = slowly
from loadtests.__main__ import main
sys.exit(main())
"""

# One whose targets do not say that their calls share a pool, so that nothing is planned with it.
GENERATOR_THAT_KNOWS_NO_POOL = """
import sys
from dataclasses import replace
from loadtests.generator import targets
ask = targets.ask
targets.ask = lambda *found: replace(ask(*found), pools={})
from loadtests.__main__ import main
sys.exit(main())
"""

# One that has no room for raw data, fails in its second step, and cannot make the report.
GENERATOR_THAT_FAILS = """
import sys
from loadtests.generator import run, sampler
from loadtests.results import raw
from loadtests.report import html
def no_space(*_):
    raise OSError(28, "No space left on device")
def fail(*_):
    raise RuntimeError("a bug")
measure, steps = run.measure, []
def measured(generator, step):
    steps.append(step)
    return measure(generator, step) if len(steps) == 1 else fail()
raw.keep, html.write, run.measure = no_space, fail, measured
from loadtests.__main__ import main
sys.exit(main())
"""

# Figures that cannot be put together, for a reason that nobody has thought of.
FIGURES_THAT_CANNOT_BE_PUT_TOGETHER = """
import json
from loadtests.generator import run
from loadtests.results import summary
from tests.unit.factories import good_run
arm_figures = summary.arm_figures
def fail(of, *rest):
    return arm_figures(of, *rest) if not of.measured else 1 / 0
summary.arm_figures = fail
print(json.dumps(run.summarized(good_run())))
"""


@pytest.fixture
def lab_command(clean_environment: dict[str, str], tmp_path: Path) -> Lab:
    return Lab(clean_environment, tmp_path / "results")


@pytest.mark.slow
def test_an_api_that_does_not_answer_every_call_fails_pages(lab_command: Lab) -> None:
    ended = lab_command.run(*QUICK, "--users=10", "--latency=0.1", HANG="0.05", CALL_TIMEOUT="0.5")
    for check in refused(ended, "failed pages"):
        assert "most often: 504 Gateway Timeout" in check["value"]
        assert check["remedy"] == "Find out why pages fail before asking how fast they are."


def with_a_pool_that_the_plan_does_not_know(tmp_path: Path, *load: str) -> Ended:
    """Calls share four connections, so that pages take several times as long as the plan expects."""
    with running(["wsgi", "asgi"], tmp_path / "logs", MAX_CONNECTIONS="4", CONNECT_TIMEOUT="30") as lab:
        return measure(lab, tmp_path, ["-c", GENERATOR_THAT_KNOWS_NO_POOL], *load)


@pytest.mark.slow
def test_a_page_that_the_plan_does_not_expect_to_take_so_long_leaves_too_small_a_sample(tmp_path: Path) -> None:
    """Twenty calls of half a second by four connections: two and a half seconds a page."""
    ended = with_a_pool_that_the_plan_does_not_know(tmp_path, "--users=1", "--latency=0.5", "--fan-out=20")
    assert at("asgi-gather-1-users-1", refused(ended, "sample"))["remedy"] == (
        "Too few to say anything: lower LATENCY=, or raise USERS=."
    )


@pytest.mark.slow
def test_a_queue_that_the_plan_does_not_expect_leaves_too_short_a_step(tmp_path: Path) -> None:
    """Eighty calls of a fifth of a second by four connections: each of eight users waits four seconds."""
    ended = with_a_pool_that_the_plan_does_not_know(tmp_path, "--users=8", "--latency=0.2")
    assert at("asgi-gather-8-users-1", refused(ended, "step length"))["remedy"] == (
        "Longer steps are needed: leave QUICK out, or ask for fewer users."
    )


def at(measurement: str, checks: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """That measurement's own; on a busy machine others may fail beside it."""
    return next(check for check in checks if check["measurement"] == measurement)


@pytest.fixture(scope="module")
def own_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessRuntime]:
    """Servers that nobody else uses and a test may stop; as many slots as users, so that steps are short."""
    with running(["wsgi", "asgi"], tmp_path_factory.mktemp("logs"), WSGI_THREADS="40") as runtime:
        yield runtime


def measure(
    lab: ProcessRuntime,
    results: Path,
    generator: list[str],
    *load: str,
    cpus: float | None = None,
) -> Ended:
    """What the launcher lets the load generator do, with another way to start it.

    `load`: 5 users where it does not say otherwise; `cpus`: cores that the generator is told to have.
    """
    folder = results / "latest"
    folder.mkdir(parents=True)
    described = manifest.launched(ROOT, lab.name, lab.describe(), "a test's")
    described["services"]["locust"]["cpus"] = cpus
    manifest.write(described, folder)
    urls = lab.published()
    environment = {
        "TARGETS": " ".join(f"{name}={urls[name]}" for name in ("wsgi", "asgi")),
    }
    words = ["measure", "--quick", f"--folder={folder}", "--latency=0.1", *(load or ["--users=5"])]
    done = subprocess.run(
        [sys.executable, *generator, *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    return Ended(done.returncode, done.stdout + done.stderr, results)


@pytest.mark.slow
def test_a_load_generator_that_computes_too_much_is_not_believed(own_lab: ProcessRuntime, tmp_path: Path) -> None:
    """It computes more than its share, however little the machine lets it have beside others."""
    ended = measure(own_lab, tmp_path, ["-c", GENERATOR_THAT_COMPUTES], cpus=0.05)
    for check in refused(ended, "generator CPU"):
        assert check["remedy"].startswith("GENERATORS=2, on a machine with a core to spare")


@pytest.mark.slow
def test_a_load_generator_that_does_not_keep_its_schedule_is_not_believed(
    own_lab: ProcessRuntime, tmp_path: Path
) -> None:
    ended = measure(own_lab, tmp_path, ["-c", GENERATOR_THAT_STALLS], "--rate=30")
    for check in refused(ended, "arrivals"):
        assert check["remedy"].startswith("The load generator does not keep its own schedule: lower RATE=")


def test_a_target_that_stands_still_in_mid_window_is_noticed(own_lab: ProcessRuntime, tmp_path: Path) -> None:
    server = server_at(own_lab.published()["asgi"])
    generator = ["-c", GENERATOR_THAT_STOPS_A_SERVER, str(server.pid)]
    try:
        ended = measure(own_lab, tmp_path, generator, "--users=20", "--fan-out=1")
    finally:
        server.resume()
    check = at("asgi-gather-20-users-1", refused(ended, "interruption"))
    assert check["remedy"] == "The target was stopped, or had to wait for the machine: run again."


def test_a_clock_that_is_set_in_mid_window_is_noticed(own_lab: ProcessRuntime, tmp_path: Path) -> None:
    """The load generator as it is, but for its wall clock: the machine's own is not a test's to set."""
    ended = measure(own_lab, tmp_path, ["-c", GENERATOR_WHOSE_CLOCK_IS_SET])
    check = at("wsgi-threadpool-5-users-1", refused(ended, "clock"))
    assert check["remedy"] == "The machine was paused or its clock was set during the step: run again."


def test_whatever_fails_after_a_measurement_the_measurement_is_not_lost(
    own_lab: ProcessRuntime, tmp_path: Path
) -> None:
    load = ("--users=2", "--latency=0.05")
    ended = measure(own_lab, tmp_path, ["-c", GENERATOR_THAT_FAILS], *load)
    assert ended.code == ExitCode.NOT_UP, ended.output
    verdict, text = ended.summary["verdict"], one_line(ended.output)
    assert verdict["sentence"] == "Incomplete, 1 of 2 measurements: the load generator failed: RuntimeError: a bug."
    assert ended.summary["arms"][0]["steps"][0]["pages"] > 0
    assert f"INVALID {verdict['headline']} {figures(verdict)}" in text
    assert "The raw data of wsgi-threadpool-2-users-1 could not be written: No space left on device." in text
    assert "loadtests: report.html could not be made: RuntimeError: a bug. What was measured is in" in text
    assert "Traceback" not in ended.output


def test_figures_that_cannot_be_put_together_are_a_sentence_in_the_summary(root: Path) -> None:
    command = [sys.executable, "-c", FIGURES_THAT_CANNOT_BE_PUT_TOGETHER]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST, check=True)
    summary = json.loads(done.stdout)
    jsonschema.validate(summary, json.loads((root / "docs" / "summary.schema.json").read_text()))
    assert summary["verdict"]["status"] == "invalid"
    assert "(ZeroDivisionError: division by zero); those of each step are under raw/." in summary["verdict"]["sentence"]
