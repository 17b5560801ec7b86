"""Starts a server and says on a port of its own what happens inside: `python -m services.telemetry.supervise SERVER …`.

The same for any server command, without the server knowing: a process beside it that reads what the service counts
(services.telemetry), what the kernel knows of its process tree, and its control group. It stays responsive
while every slot of the server is taken or its event loop is blocked. Signals go to the server, whose exit status
becomes this process's own. What the server writes is passed on, within bounds.

Neither outlives the other: the server is told to stop when this process is killed, and when the server ends so do the
workers that it leaves behind. Both need Linux; elsewhere the launcher ends the processes of a service together.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, islice, zip_longest
from pathlib import Path

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from services import env
from services.telemetry import output, scrape
from services.telemetry.connections import connections_to
from services.telemetry.control_group import ControlGroup

LOOK = 5.0  # seconds between two looks for new workers, while none begins or ends, and at shared memory
NO_SUCH_COMMAND = 127  # as a shell says it
KILLED = 128  # likewise, and the signal's number
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
LAST_WORDS = 2.0  # seconds to pass on what the server wrote before it ended
CPUCLOCK_SCHED = 2  # linux/posix-timers.h: the clock of all threads of a process
MOST_THREADS = 256  # whose waiting is read: 10 µs each
OF_WORKERS = {  # metrics that are told apart by worker as well
    *("lab_pages_finished", "lab_pages_in_flight", "lab_event_loop_lag_seconds"),
    *("lab_calls", "lab_calls_in_flight", "lab_call_lateness_seconds"),
}
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


class RunQueue:
    """How long threads were ready to run and had to wait for a core, since the start: a counter that never falls."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._by_thread: dict[Path, int] = {}  # nanoseconds

    def seconds(self, processes: Sequence[psutil.Process]) -> float | None:
        """Return the sum over the threads of all processes; None where the kernel does not say it (Linux)."""
        before, self._by_thread = self._by_thread, {}
        in_turn = zip_longest(*(schedstats(process.pid) for process in processes))  # each worker's first threads first
        for path in islice(filter(None, chain.from_iterable(in_turn)), MOST_THREADS):
            with suppress(OSError, ValueError, IndexError):  # a thread that has ended
                waited = int(path.read_bytes().split()[1])
                self._by_thread[path] = waited
                earlier = before.get(path, 0)
                self._waited += (waited - earlier if waited >= earlier else waited) / 1e9  # an id may be used again
        return self._waited if self._by_thread else None


def schedstats(process: int) -> Iterator[Path]:
    with suppress(OSError):
        yield from (thread / "schedstat" for thread in Path(f"/proc/{process}/task").iterdir())


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process: to the nanosecond where its clock can be read (Linux), else to 10 ms.

    Not that of the control group, which holds this process too, and probes.
    """
    try:
        return time.clock_gettime((~process.pid << 3) | CPUCLOCK_SCHED)
    except OSError:
        return float(sum(process.cpu_times()[:2]))  # raises psutil.NoSuchProcess where it has ended


class Memory:
    """What a process has in memory, in bytes; a page that n processes share counts 1/n if the kernel reports it.

    The kernel walks all of its pages for that, a quarter of a reading's CPU: once in a while, and when it has grown or
    shrunk by more than a hundredth.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[float, int, int]] = {}  # when, resident and proportional bytes, by process id

    def of(self, process: psutil.Process) -> int:
        now, resident = time.monotonic(), int(process.memory_info().rss)
        seen, before, proportional = self._seen.get(process.pid, (0.0, 0, 0))
        if now - seen > LOOK or abs(resident - before) > before / 100:
            try:
                proportional = int(process.memory_full_info().pss)
            except (psutil.AccessDenied, AttributeError):
                proportional = resident
            self._seen[process.pid] = now, resident, proportional
        return proportional


class ServerTree(Collector):
    """What the kernel knows of the server's processes: CPU, memory, threads, connections."""

    def __init__(self, server: psutil.Process, ports: Iterable[int] = ()) -> None:
        """Look on a server. Its `ports` can be left out where it belongs to this process's user."""
        self._server = server
        self._run_queue = RunQueue()
        self._ports = set(ports)
        self._memory = Memory()
        self._processes: list[psutil.Process] = []
        self._looked = 0.0

    def _family(self) -> list[psutil.Process]:
        """Return the server and its workers. Look for them seldom: it means reading what every process here is."""
        now, all_run = time.monotonic(), all(process.is_running() for process in self._processes)
        if now - self._looked > LOOK or not all_run:
            before, self._processes = self._processes, [self._server, *self._server.children(recursive=True)]
            self._looked = now if self._processes == before else 0.0
        return self._processes

    def collect(self) -> Iterator[Metric]:
        try:
            processes = self._family()
            ended = self._server.cpu_times()
            cpu = ended.children_user + ended.children_system  # of workers that have ended
            cpu += sum(map(cpu_seconds, processes))
            memory = sum(map(self._memory.of, processes))
            threads = sum(process.num_threads() for process in processes)
            self._ports = self._ports or {
                connection.laddr.port
                for process in processes
                for connection in process.net_connections(kind="tcp4")
                if connection.status == psutil.CONN_LISTEN
            }
        except psutil.Error:  # a process ended meanwhile: the next reading is a second away
            self._looked = 0.0
            return
        yield CounterMetricFamily("lab_cpu_seconds", "CPU time of the server's processes", value=cpu)
        if (waited := self._run_queue.seconds(processes)) is not None:
            yield CounterMetricFamily("lab_run_queue_seconds", "time that threads waited for a core", value=waited)
        yield GaugeMetricFamily("lab_memory_bytes", "memory of the server's processes, shared pages once", value=memory)
        yield GaugeMetricFamily("lab_threads", "threads of the server's processes", value=threads)
        yield GaugeMetricFamily("lab_processes", "processes of the server", value=len(processes))
        if connections := connections_to(self._ports):
            yield GaugeMetricFamily("lab_connections", "connections to the server", value=connections.established)
            about = "requests that no thread has begun to read, and connections not yet accepted"
            yield GaugeMetricFamily("lab_requests_queued", about, value=connections.unread + connections.backlog)


class Counted(MultiProcessCollector):
    """What the service's processes have counted; a process that has ended no longer has anything in flight."""

    def collect(self) -> Iterator[Metric]:
        folder = Path(self._path)
        for file in folder.glob("gauge_live*_*.db"):
            pid = int(file.stem.rpartition("_")[2])
            if not psutil.pid_exists(pid):
                mark_process_dead(pid, self._path)  # type: ignore[no-untyped-call]
        # A process that has just begun to count, or that was forked and became another program, leaves an empty file.
        files = sorted(file for file in folder.glob("*.db") if file.stat().st_size)
        yield from self.merge(list(map(str, files)), accumulate=True)  # type: ignore[no-untyped-call]
        yield from self._by_worker(files)

    def _by_worker(self, files: Iterable[Path]) -> Iterator[Metric]:
        """Yield what each worker has counted: workers may share pages unevenly, be replaced, or one of them be late."""
        families: dict[str, Metric] = {}
        for file in files:
            worker = file.stem.rpartition("_")[2]
            for metric in self.merge([str(file)]):  # type: ignore[no-untyped-call]
                if metric.name in OF_WORKERS:
                    name = of_worker(metric.name)
                    family = families.setdefault(name, Metric(name, f"{metric.name} of a worker", metric.type))
                    for sample in metric.samples:
                        family.add_sample(of_worker(sample.name), {**sample.labels, "worker": worker}, sample.value)
        yield from families.values()


def of_worker(name: str) -> str:
    return name.replace("lab_", "lab_worker_", 1)


def main(command: Sequence[str]) -> int:
    """Run the server to its end; its exit status. `$NAMES` in its command are filled in from the environment."""
    command = [os.path.expandvars(word) for word in command]
    if not env.switch("TELEMETRY"):
        os.execvp(command[0], list(command))  # noqa: S606
    process_control(PR_SET_CHILD_SUBREAPER, 1)
    with tempfile.TemporaryDirectory(prefix="telemetry-", ignore_cleanup_errors=True) as folder:
        try:
            server = subprocess.Popen(
                command,
                env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Stop the server, in good order, when its supervisor is killed. There is no other thread yet.
                preexec_fn=partial(process_control, PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509
            )
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr)
            return NO_SUCH_COMMAND
        return asyncio.run(supervise(server, folder))


async def supervise(server: subprocess.Popen[bytes], folder: str) -> int:
    """Serve the metrics, pass on signals and output, until the server ends; its exit status, as a shell says it."""
    loop, reader, told = asyncio.get_running_loop(), asyncio.StreamReader(), set()

    def pass_on(number: int) -> None:
        told.add(number)
        server.send_signal(number)

    for number in SIGNALS:
        loop.add_signal_handler(number, pass_on, number)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), server.stdout)
    writing = asyncio.create_task(output.pass_on(reader))
    try:
        counted = Counted(None, folder)  # type: ignore[no-untyped-call]
        tree = ServerTree(psutil.Process(server.pid))
        await scrape.serve_metrics(tree, ControlGroup(), counted, folder=folder)
        # Not by asyncio, which would also wait for the workers that a killed server leaves behind.
        status = await asyncio.to_thread(server.wait)
        if status < 0 and not told:
            name = signal.Signals(-status).name
            print(f"the server was killed by {name}, and not by its supervisor", file=sys.stderr, flush=True)
        return status if status >= 0 else KILLED - status
    finally:
        end_family(server)
        await asyncio.wait([writing], timeout=LAST_WORDS)


def process_control(option: int, value: int) -> None:
    """Ask the kernel for one of prctl(2)'s services, where there is one."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(option, value)


def end_family(server: subprocess.Popen[bytes]) -> None:
    """Kill the workers that a killed server leaves behind, and the server itself if something above went wrong."""
    server.kill()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
