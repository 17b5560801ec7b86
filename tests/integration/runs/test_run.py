"""`make loadtest` without Docker, from start to report, and the ways in which it can go wrong."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import jsonschema
import psutil
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from loadtests.host import topology
from loadtests.host.processes import free_port
from tests.runs import LONGEST, ROOT, Ended, Lab, children_of, one_line, says_its_verdict

SLOTS = int(topology.services({})["wsgi"].environment["THREADS"])
SMALL = ("run", "--runtime=process", "--quick", "--users=1,30", "--latency=0.2")


@pytest.fixture
def lab_command(clean_environment: dict[str, str], tmp_path: Path) -> Lab:
    return Lab(clean_environment, tmp_path / "results")


@pytest.fixture(scope="module")
def ended(clean_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """One small run that everybody looks at."""
    return Lab(clean_environment, tmp_path_factory.mktemp("run")).run(*SMALL)


def test_a_run_ends_with_a_verdict_a_table_and_the_path_of_its_report(ended: Ended) -> None:
    """Whether it is confirmed depends on the machine; what confirms it, on recorded figures: tests/unit."""
    says_its_verdict(ended)
    text = one_line(ended.output)
    assert "pages/s" in text
    assert "left" in text


def test_its_summary_matches_the_schema_and_shows_slots_against_none(ended: Ended, root: Path) -> None:
    summary = ended.summary
    jsonschema.validate(summary, json.loads((root / "docs" / "summary.schema.json").read_text()))
    wsgi, asgi = summary["arms"]
    assert (wsgi["target"], wsgi["slots"]) == ("wsgi", SLOTS)
    assert (asgi["target"], asgi["slots"]) == ("asgi", None)
    assert summary["comparison"]["ratio"] > 0
    assert [step["users"] for step in wsgi["steps"]] == [1, 30]
    assert all(step["failures"] == 0 for arm in summary["arms"] for step in arm["steps"])
    top = wsgi["steps"][1]
    assert top["response_time"]["p50"] > wsgi["steps"][0]["response_time"]["p50"] >= 0.2
    assert 0 < top["inside"]["pages_in_flight"] <= top["inside"]["most_pages_in_flight"] <= SLOTS
    assert 0 < top["inside"]["calls_in_flight"] <= top["inside"]["most_calls_in_flight"] <= 10 * SLOTS
    assert 0 < top["inside"]["requests_queued"] <= 20
    assert asgi["steps"][1]["inside"]["most_pages_in_flight"] > SLOTS
    assert top["cpu_per_page"] > 0


def test_its_interval_logs_hold_every_page(ended: Ended) -> None:
    for arm in ended.summary["arms"]:
        for step in arm["steps"]:
            name = f"{arm['target']}-{arm['strategy']}-{step['users']}-users-1"
            total = HdrHistogram(1, 3_600_000_000, 3)
            reader = HistogramLogReader(str(ended.folder / "raw" / f"{name}.hlog"), total)
            while reader.add_next_interval_histogram(dest_histogram=total):
                pass
            reader.close()
            assert total.get_total_count() == step["pages"]


def test_its_manifest_says_what_ran_where(ended: Ended) -> None:
    manifest = ended.summary["manifest"]
    assert manifest["command"] == (
        "make loadtest EXPERIMENT=external-concurrency QUICK=1 USERS=1,30 REPEATS=1 LATENCY=0.2 RUNTIME=process"
    )
    assert manifest["machine"]["cores"]
    assert manifest["targets"]["asgi"]["event_loop"].startswith("uvloop")
    assert f"--threads={SLOTS}" in manifest["services"]["wsgi"]["command"]
    assert manifest["generator"]["packages"]["locust"]
    assert "nothing limits or isolates" in manifest["warnings"][0]


def test_for_a_program_the_output_is_one_document_and_the_rest_is_on_standard_error(lab_command: Lab) -> None:
    words = ("run", "--json", "--runtime=process", "--quick", "--users=2", "--latency=0.05")
    with lab_command.started(*words, stderr=subprocess.PIPE) as process:
        output, rest = process.communicate(timeout=LONGEST)
    assert json.loads(output) == Ended(process.returncode, rest, lab_command.results).summary
    assert "2/2 " in rest
    assert "report.html" in rest


def test_interrupted_it_keeps_what_it_measured_and_stops_what_it_started(lab_command: Lab) -> None:
    with lab_command.started(*SMALL) as process:
        lab_command.wait_for(lab_command.raw_files)
        family = children_of(process)
        ended = lab_command.interrupt(process)
    assert ended.code == 130
    assert not ended.summary["complete"]
    assert "of 4 measurements: it was interrupted" in ended.summary["verdict"]["sentence"]
    assert ended.summary["arms"][0]["steps"][0]["pages"] > 0
    assert "incomplete" in (ended.folder / "report.html").read_text()
    assert len(family) >= 4
    _, alive = psutil.wait_procs(family, timeout=LONGEST)
    assert not alive


def test_interrupted_before_it_measured_it_leaves_nothing(lab_command: Lab) -> None:
    with lab_command.started(*SMALL) as process:
        lab_command.wait_for(lambda: len(children_of(process)) > 1)
        family = children_of(process)
        ended = lab_command.interrupt(process)
    assert ended.code == 130
    assert "external-concurrency was stopped before anything was measured." in ended.output
    assert not psutil.wait_procs(family, timeout=LONGEST)[1]
    assert not list(lab_command.results.glob("2*"))


def test_experiments_run_one_after_the_other_and_an_interrupt_while_one_starts_leaves_the_earlier_ones_alone(
    lab_command: Lab,
) -> None:
    words = ("run", "--runtime=process", "--quick", "--users=1", "--latency=0.01")
    with lab_command.started(*words, "--experiment=external-concurrency,class-based,slots") as process:
        lab_command.wait_for(lambda: list(lab_command.results.glob("2*-slots")))
        ended = lab_command.interrupt(process)
    assert ended.code == 130
    assert "slots was stopped before anything was measured." in ended.output
    names = [path.parent.name.partition("-")[2] for path in sorted(lab_command.results.glob("2*/report.html"))]
    assert names == ["external-concurrency", "class-based"]
    assert len(list(lab_command.results.glob("2*"))) == 2
    assert ended.output.count("\nReport: ") == 2
    assert ended.summary["complete"]


def words_of(process: subprocess.Popen[str]) -> set[str]:
    """Of the commands of all that it started and that still runs."""
    words: set[str] = set()
    for child in children_of(process):
        with suppress(psutil.NoSuchProcess):
            words.update(child.cmdline())
    return words


def server(process: subprocess.Popen[str], application: str) -> psutil.Process:
    """The server itself, and not what supervises it."""
    commands = {child: child.cmdline() for child in children_of(process)}
    return next(
        c for c, words in commands.items() if application in words and "services.telemetry.supervise" not in words
    )


def test_an_api_that_dies_in_mid_run_makes_it_invalid_and_keeps_the_rest(lab_command: Lab) -> None:
    with lab_command.started(*SMALL) as process:
        lab_command.wait_for(lab_command.raw_files)
        server(process, "services.api.app:app").kill()
        output, _ = process.communicate(timeout=LONGEST)
    ended = Ended(process.returncode, output, lab_command.results)
    assert ended.code == 2
    assert ended.summary["verdict"]["status"] == "invalid"
    assert "502 Bad Gateway" in ended.summary["verdict"]["sentence"]
    assert ended.summary["arms"][0]["steps"][0]["pages"] > 0


def test_a_target_that_dies_in_mid_run_makes_it_invalid(lab_command: Lab) -> None:
    with lab_command.started(*SMALL) as process:
        lab_command.wait_for(lab_command.raw_files)
        server(process, "services.aggregator.asgi:application").kill()
        output, _ = process.communicate(timeout=LONGEST)
    assert process.returncode == 2
    assert "no answer" in one_line(output)


def test_a_taken_port_is_named_with_its_variable(lab_command: Lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = lab_command.run(*SMALL, ASGI_PORT=str(port))
    assert ended.code == 3
    assert f"port {port}, which asgi needs, is taken" in ended.output
    assert "ASGI_PORT" in ended.output
    assert not list(lab_command.results.glob("2*"))


def test_a_service_that_does_not_start_is_named_with_its_last_words(lab_command: Lab) -> None:
    words = ("run", "--runtime=process", "--quick", "--experiment=database")
    ended = lab_command.run(*words, DATABASE_URL="mysql://lab@db/pages")
    assert ended.code == 3, ended.output
    assert "is not healthy" in ended.output
    assert "DATABASE_URL must be like" in ended.output
    assert "Traceback" not in ended.output.partition("last log lines")[0]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WSGI_THREADS": "many"}, "WSGI_THREADS must be a whole number from 1 to 10000; it is 'many'"),
        ({"EXPERIMENT": "api-latency", "USERS": "7"}, "api-latency turns LATENCY from step to step"),
        ({"EXPERIMENT": "nonsense"}, "there is no experiment 'nonsense'. There are: api-latency, async-under-wsgi"),
        ({"EXPERIMENT": "../../etc/passwd"}, "there is no experiment"),
        ({"USERS": "0"}, "USERS must be a whole number from 1 to 10000; it is '0'"),
        ({"USERS": "1,x"}, "USERS"),
        ({"LATENCY": "-1"}, "LATENCY must be a number from 0 to 10"),
        ({"FAN_OUT": "1000"}, "FAN_OUT must be a whole number from 1 to 100"),
        ({"REPEATS": "0"}, "REPEATS"),
        ({"RUNTIME": "vm"}, "RUNTIME must be one of auto, docker, process"),
        ({"WSGI_PORT": "http"}, "WSGI_PORT must be a port"),
        ({"WSGI_PORT": "70000"}, "WSGI_PORT must be a port"),
        (
            {"THREADPOOL": "many"},
            "THREADPOOL must be a whole number from 1 to 10000; it is 'many'. THREADPOOL comes from",
        ),
        ({"STRATEGY": "sequential"}, "STRATEGY is for the web UI"),
        ({"LATENY": "5"}, "did you mean LATENCY?"),
        ({"API_CPUS": "2"}, "API_CPUS limits a container"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_code_3(lab_command: Lab, variables: dict[str, str], said: str) -> None:
    ended = lab_command.run("run", **{"RUNTIME": "process", **variables})
    assert ended.code == 3
    assert said in ended.output
    assert "Traceback" not in ended.output
    assert not lab_command.results.exists() or not list(lab_command.results.iterdir())


@pytest.mark.parametrize("words", [SMALL, ("up", "--runtime=process")])
def test_without_a_folder_for_results_nothing_is_started(lab_command: Lab, words: tuple[str, ...]) -> None:
    ended = lab_command.run(*words, RESULTS="/dev/null/results")
    assert ended.code == 3
    assert "loadtests: /dev/null/results cannot be written to: Not a directory. Let it be" in ended.output
    assert "RESULTS=" in ended.output
    assert "Traceback" not in ended.output


def test_without_an_engine_docker_is_refused_with_the_way_out(lab_command: Lab) -> None:
    ended = lab_command.run("run", "--runtime=docker", "--quick", DOCKER="no-such-engine")
    assert ended.code == 3
    assert "Docker cannot be used (no-such-engine: No such file or directory)" in ended.output
    assert "RUNTIME=process" in ended.output


def test_without_an_engine_auto_says_so_in_one_line_and_goes_on_at_the_port_that_was_asked_for(
    lab_command: Lab,
) -> None:
    port = free_port()
    words = ("run", "--runtime=auto", "--quick", "--users=1", "--latency=0.01")
    with lab_command.started(*words, DOCKER="no-such-engine", WSGI_PORT=str(port)) as process:
        lab_command.wait_for(lambda: f"--bind=127.0.0.1:{port}" in words_of(process))
        output, _ = process.communicate(timeout=LONGEST)
    ended = Ended(process.returncode, output, lab_command.results)
    says_its_verdict(ended)
    assert ended.code != 0, "one user shows nothing"
    assert ended.output.splitlines()[0].startswith("Docker is not used (no-such-engine")
    assert ended.summary["runtime"] == "process"
    assert "--bind=0.0.0.0:8000" in ended.summary["manifest"]["services"]["wsgi"]["command"], "as in containers"


def test_list_shows_every_experiment_with_its_question(lab_command: Lab) -> None:
    ended = lab_command.run("list")
    assert ended.code == 0
    assert "external-concurrency\n    How many pages" in ended.output


def test_a_run_outlives_its_terminal_where_nohup_started_it(lab_command: Lab) -> None:
    master, slave = pty.openpty()
    words = ("run", "--runtime=process", "--quick", "--users=1", "--latency=0.01")
    with lab_command.started(*words, nohup=True, stdout=slave) as process:
        os.close(slave)
        lab_command.wait_for(lambda: children_of(process))
        os.close(master)
        process.send_signal(signal.SIGHUP)
        assert process.wait(LONGEST) in {1, 2}  # one user shows nothing
    [report] = lab_command.results.glob("2*/report.html")
    assert json.loads((report.parent / "summary.json").read_text())["complete"]


def test_a_launcher_that_is_killed_leaves_a_report_and_no_process(lab_command: Lab) -> None:
    with lab_command.started(*SMALL) as process:
        lab_command.wait_for(lab_command.raw_files)
        second = lab_command.run(*SMALL)
        family = children_of(process)
        process.kill()
        process.communicate(timeout=LONGEST)
        assert not psutil.wait_procs(family, timeout=LONGEST)[1]
    assert second.code == 3
    assert (
        f"the lab is in use on this machine: `make loadtest EXPERIMENT=external-concurrency` in {ROOT}" in second.output
    )
    [folder] = lab_command.results.glob("2*")  # the second run left none
    assert not json.loads((folder / "summary.json").read_text())["complete"]
    assert (folder / "report.html").exists()
    following = lab_command.run(*SMALL, "--experiment=database", DATABASE_URL="mysql://lab@db/pages")
    assert "Cleaning up after `make loadtest EXPERIMENT=external-concurrency`, which could not" in following.output
    assert len(family) >= 4


def test_interrupted_twice_it_says_where_the_raw_data_is(lab_command: Lab) -> None:
    with lab_command.started(*SMALL) as process:
        lab_command.wait_for(lab_command.raw_files)
        family = children_of(process)
        generator = next(child for child in family if "measure" in child.cmdline())
        generator.suspend()  # its report would be there before the second
        process.send_signal(signal.SIGINT)
        assert process.stdout
        lab_command.wait_for(lambda: "Stopping" in process.stdout.readline())  # type: ignore[union-attr]
        ended = lab_command.interrupt(process)
    assert ended.code == 130
    assert "external-concurrency was stopped before its report was written. What was measured is in" in ended.output
    assert not psutil.wait_procs(family, timeout=LONGEST)[1]


def test_the_web_ui_ends_with_a_sentence_when_one_of_its_services_is_killed(lab_command: Lab) -> None:
    with lab_command.started("up", "--runtime=process") as process:
        assert process.stdout
        lab_command.wait_for(lambda: "press Start" in process.stdout.readline())  # type: ignore[union-attr]
        family = children_of(process)
        next(child for child in family if "--locustfile=loadtests/locustfile.py" in child.cmdline()).kill()
        output = process.communicate(timeout=LONGEST)[0]
    assert process.returncode == 3
    assert "locust stopped unexpectedly, so the lab was shut down." in output
    assert not psutil.wait_procs(family, timeout=LONGEST)[1]


def test_claims_that_cannot_be_written_down_are_not_measured(lab_command: Lab) -> None:
    ended = lab_command.run("claims", "--quick", "--runtime=process", "--write-to=/no/such/folder/claims.md")
    assert ended.code == 3
    assert "--write-to must be a file in a folder that exists" in ended.output
    assert not lab_command.results.exists()
