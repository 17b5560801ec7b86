"""Every service says what happens inside it, at a port that answers while the service itself does not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from loadtests.analysis.readings import Reading, grown, p99
from loadtests.analysis.server_metrics import inside
from loadtests.generator import sampler
from loadtests.host.processes import free_port
from loadtests.model.server_metrics import LATENESS, LOOP_LAG
from services.aggregator.variants import STRATEGIES
from services.telemetry import output, scrape
from services.telemetry.control_group import ControlGroup
from tests.integration.waiting import PATIENCE, read, wait_until
from tests.processes import server_at
from tests.unit.test_prometheus import scraped

SERVICES = ("api", "wsgi", "asgi")


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_says_what_the_kernel_knows_of_it(lab: Mapping[str, str], service: str) -> None:
    values = read(lab, service).values
    assert values["lab_cpu_seconds_total"] > 0
    assert 10e6 < values["lab_memory_bytes"] < 500e6
    assert values["lab_threads"] >= 1
    assert values["lab_processes"] == (2 if service == "wsgi" else 1)


def test_the_api_counts_its_calls_and_its_own_lateness(lab: Mapping[str, str]) -> None:
    before = read(lab, "api")
    for _ in range(5):
        httpx.get(f"{lab['api']}/api/?latency=0.01", trust_env=False)
    after = read(lab, "api")
    assert grown(before, after, "lab_call_lateness_seconds_count") == 5
    assert grown(before, after, 'lab_calls_total{how="answered"}') == 5
    assert grown(before, after, 'lab_calls_total{how="abandoned"}') == 0
    assert p99(before, after, LATENESS) is not None
    wait_until(lambda: read(lab, "api").number("lab_calls_in_flight") == 0)


@pytest.mark.parametrize(("target", "strategy"), [("wsgi", "threadpool"), ("asgi", "gather")])
def test_connections_to_the_api_are_counted_and_kept(lab: Mapping[str, str], target: str, strategy: str) -> None:
    url = f"{lab[target]}{STRATEGIES[strategy].url_path}?fan_out=5"
    httpx.get(url, timeout=30, trust_env=False)
    before = read(lab, target)
    for _ in range(5):
        httpx.get(url, timeout=30, trust_env=False)
    opened = grown(before, read(lab, target), "lab_upstream_connections_opened_total")
    assert before.values["lab_upstream_connections_opened_total"] >= 5
    assert opened is not None
    assert opened < 25  # calls


def test_the_event_loop_says_how_late_it_is(lab: Mapping[str, str]) -> None:
    wait_until(lambda: read(lab, "asgi").buckets[LOOP_LAG][float("inf")] > 3)
    assert LOOP_LAG not in read(lab, "wsgi").buckets or not read(lab, "wsgi").buckets[LOOP_LAG][float("inf")]


def test_never_are_more_pages_in_flight_than_users_wait_for(lab: Mapping[str, str]) -> None:
    """Also on a busy event loop, where Django ends a page after its user has asked for the next."""
    users, pages, most = 20, 3, 0
    wait_until(lambda: read(lab, "asgi").number("lab_pages_in_flight") == 0)
    url = f"{lab['asgi']}{STRATEGIES['gather'].url_path}?fan_out=2&latency=0.02&work=0.02"

    def ask(client: httpx.Client) -> None:
        assert all(client.get(url).status_code == 200 for _ in range(pages))

    with ThreadPoolExecutor(users) as threads, httpx.Client(timeout=PATIENCE, trust_env=False) as client:
        asking = [threads.submit(ask, client) for _ in range(users)]
        while not all(one.done() for one in asking):
            most = max(most, read(lab, "asgi").number("lab_pages_in_flight") or 0)
        assert all(one.result() is None for one in asking)
    assert 1 < most <= users


def supervised(code: str, port: int, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "services.telemetry.supervise", sys.executable, "-c", code]
    variables = {"TELEMETRY": "on", "TELEMETRY_ADDRESS": f"127.0.0.1:{port}", **environment}
    return subprocess.Popen(command, env={**os.environ, **variables}, cwd=Path(__file__).resolve().parents[2])


@contextmanager
def sampled(code: str) -> Iterator[str]:
    """The address of the sampler of a server that is ended afterwards, with its workers."""
    port = free_port()
    with supervised(code, port) as process:
        try:
            wait_until(lambda: sampler.read(f"http://127.0.0.1:{port}") is not None)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_the_sampler_answers_while_the_server_computes_without_a_pause() -> None:
    with sampled("while True: pass") as url:
        before = sampler.read(url)
        wait_until(lambda: (grown(before, sampler.read(url), "lab_cpu_seconds_total") or 0) > 0.2)


def test_a_process_that_becomes_another_program_before_it_has_counted_does_not_silence_the_sampler() -> None:
    code = """
import os, time
open(os.path.join(os.environ["PROMETHEUS_MULTIPROC_DIR"], "gauge_livesum_1.db"), "w").close()
time.sleep(60)
"""
    with sampled(code) as url:
        assert (sampler.read(url) or Reading()).number("lab_threads") == 1


def test_a_worker_that_was_forked_says_what_it_has_in_flight() -> None:
    code = """
import os, time
from services.telemetry import counters
work = counters.InFlight("lab_work", "work")
if os.fork():
    os.wait()
else:
    work.begin()
    time.sleep(60)
"""
    with sampled(code) as url:
        wait_until(lambda: (sampler.read(url) or Reading()).number("lab_work_in_flight") == 1)


def test_the_pages_of_each_worker_are_counted_and_one_that_is_replaced_is_noticed() -> None:
    code = """
import os, signal, time
from prometheus_client import Counter
from services.telemetry import counters
pages = counters.InFlight("lab_pages", "pages")
finished = Counter("lab_pages_finished", "pages")
def worker(number):
    if not os.fork():
        pages.begin()
        finished.inc(number)
        signal.pause()
worker(2)
worker(3)
while True:
    os.wait()
    worker(5)
"""

    def in_flight() -> dict[str, float]:
        return (sampler.read(url) or Reading()).by_label("lab_worker_pages_in_flight")

    def finished() -> dict[str, float]:
        return (sampler.read(url) or Reading()).by_label("lab_worker_pages_finished_total")

    with sampled(code) as url:
        wait_until(lambda: sorted(pages for pages in finished().values() if pages) == [2, 3])
        wait_until(lambda: sum(in_flight().values()) == 2)
        before = sampler.read(url)
        [killed] = [process for process, pages in finished().items() if pages == 2]
        psutil.Process(int(killed)).kill()
        wait_until(lambda: killed not in in_flight() and sum(in_flight().values()) == 2)
        after = sampler.read(url)
    seen = inside([before, after], [])
    assert seen.workers_started == 1
    assert {worker.process for worker in seen.workers if worker.ended} == {killed}
    assert max(worker.pages for worker in seen.workers) == 5


TWO_ON_ONE_CORE = """
import os
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.fork()
while True: pass
"""


def test_threads_that_are_ready_to_run_and_have_no_core_are_seen_to_wait() -> None:
    with sampled(TWO_ON_ONE_CORE) as url:
        before, began = sampler.read(url), time.monotonic()

        def grew(name: str) -> float:
            return grown(before, sampler.read(url), name) or 0.0

        wait_until(lambda: grew("lab_run_queue_seconds_total") > 1)
        assert grew("lab_run_queue_seconds_total") < 2.5 * (time.monotonic() - began), "there are two of them"


def test_a_signal_goes_to_the_server_whose_exit_status_is_passed_on(tmp_path: Path) -> None:
    port = free_port()
    ready = tmp_path / "ready"
    code = f"""
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
open({str(ready)!r}, "w").close()
signal.pause()
"""
    with supervised(code, port) as process:
        wait_until(lambda: ready.exists() and sampler.read(f"http://127.0.0.1:{port}") is not None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 7
    assert sampler.read(f"http://127.0.0.1:{port}") is None


WITH_A_WORKER = """
import os, signal, time
worker = 0
signal.signal(signal.SIGTERM, lambda *_: (worker and os.kill(worker, signal.SIGKILL), os._exit(0)))
worker = os.fork()
time.sleep(600)
"""


def test_a_server_that_is_killed_takes_its_workers_with_it_and_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    with supervised(WITH_A_WORKER, free_port()) as process:
        server, worker = family(process)
        server.kill()
        assert process.wait(10) == 128 + signal.SIGKILL
    wait_until(lambda: not worker.is_running())
    assert "the server was killed by SIGKILL" in capfd.readouterr().err


def test_a_sampler_that_is_killed_takes_its_server_with_it() -> None:
    with supervised(WITH_A_WORKER, free_port()) as process:
        members = family(process)
        process.kill()
    wait_until(lambda: not any(ended.is_running() for ended in members))


def family(supervisor: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The server and its worker, as soon as both are there."""
    process = psutil.Process(supervisor.pid)
    wait_until(lambda: len(process.children(recursive=True)) == 2)
    server = process.children()[0]
    return [server, *server.children()]


def test_slow_clients_of_a_sampler_do_not_keep_it_from_others_nor_take_threads(lab: Mapping[str, str]) -> None:
    url = httpx.URL(lab["api metrics"])
    sampler = server_at(lab["api metrics"])
    threads = sampler.num_threads()
    with ExitStack() as clients:
        for _ in range(300):
            client = clients.enter_context(socket.create_connection((url.host, url.port or 0)))
            client.sendall(b"GET /met")
        assert read(lab, "api").values
        assert sampler.num_threads() == threads
        wait_until(lambda: len(sampler.net_connections(kind="tcp4")) <= scrape.MOST_CLIENTS + 1)  # and it listens


def test_a_server_that_writes_without_end_does_not_fill_a_disk(capfd: pytest.CaptureFixture[str]) -> None:
    with supervised("for _ in range(50_000): print('x' * 99)", free_port()) as process:
        assert process.wait(30) == 0
    assert output.AT_ONCE / 2 < len(capfd.readouterr().out) < 2 * output.AT_ONCE


def test_a_server_that_does_not_exist_is_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.telemetry.supervise", "no-such-server"],
        env={**os.environ, "TELEMETRY": "on"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 127
    assert done.stderr.strip() == "no-such-server: No such file or directory"


def test_without_telemetry_the_server_runs_alone() -> None:
    code = "import os, sys; sys.exit(9 if 'PROMETHEUS_MULTIPROC_DIR' not in os.environ else 1)"
    with supervised(code, 1, TELEMETRY="off") as process:
        assert process.wait(PATIENCE) == 9


def test_a_silent_sampler_is_no_reading() -> None:
    assert sampler.read("http://127.0.0.1:9") is None


def test_the_rules_of_prometheus_read_only_metrics_that_the_services_have(
    lab: Mapping[str, str], tmp_path: Path
) -> None:
    """What a container's limits do is no local process's to say: that is read from a control group of this test."""
    texts = [httpx.get(f"{lab[f'{service} metrics']}/metrics", trust_env=False).text for service in SERVICES]
    (tmp_path / "cpu.stat").write_text("throttled_usec 1\n")
    registry = CollectorRegistry()
    registry.register(ControlGroup(tmp_path))
    texts.append(generate_latest(registry).decode())
    exposed = {
        sample.name for text in texts for family in text_string_to_metric_families(text) for sample in family.samples
    }
    assert scraped() <= exposed


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_says_by_name_whose_metrics_they_are(lab: Mapping[str, str], service: str) -> None:
    assert read(lab, service).number(f'target_info{{service="{service}"}}') == 1
