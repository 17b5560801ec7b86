"""Brings the lab up, lets the load generator measure, brings the lab down: whatever happens in between."""

from __future__ import annotations

import hashlib
import os
import select
import shlex
import signal
import subprocess
import sys
import time
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn, cast

from loadtests import experiments, files, floor, knobs, manifest, results, variables
from loadtests.errors import BadInput, ExitCode, Interrupted, LabDown, LabError
from loadtests.experiments import Experiment
from loadtests.runtime import GENERATOR, ROOT, Runtime, compose, lock, virtualenv, without_password
from loadtests.runtime.compose import ComposeRuntime, why_no_engine
from loadtests.runtime.processes import ProcessRuntime
from loadtests.step import amounts

RUNTIMES = ("auto", "docker", "process")
KEPT = ("wsgi", "asgi")  # between experiments; what only one of them needs is stopped after it
LOOK = 5.0  # seconds between two looks at the services that the web UI needs
NOHUP = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # as nohup(1) starts it: it outlives its terminal
LONGEST_RUN = 7 * 24 * 3600.0  # seconds
LAST_WORDS = 30.0  # seconds that an interrupted generator has to write its report


def choose_runtime(asked: str) -> str:
    """'docker' or 'process'. Raises BadInput."""
    if asked not in RUNTIMES:
        raise BadInput(f"RUNTIME must be one of {', '.join(RUNTIMES)}; it is {asked[:80]!r}")
    if asked != "auto":
        return asked
    if why := why_no_engine():
        print(f"Docker is not used ({why}): the same lab runs as local processes instead.", flush=True)
        return "process"
    return "docker"


def in_virtualenv(arguments: Sequence[str]) -> None:
    """Go on inside the project's virtual environment, which local processes need; does not return if outside."""
    virtualenv.ensure("lab")
    if not virtualenv.is_active():
        virtualenv.enter(arguments)


@dataclass(frozen=True)
class Ended:
    """One experiment's run: its exit code, and its folder when there is a report in it."""

    experiment: Experiment
    code: ExitCode
    folder: Path | None


def measure(options: Namespace, arguments: Callable[[str], Sequence[str]]) -> list[Ended]:
    """A run for each experiment, from nothing to its report; after an interrupt no other begins.

    `arguments(experiment)` are the load generator's. Raises LabError when the first could not be measured; a later
    one that could not counts as invalid, so that what was measured is not lost.
    """
    asked = sorted(map(experiments.find, options.experiments), key=running_order)
    typed = f"make loadtest EXPERIMENT={','.join(options.experiments)}"
    with lock.held("run", typed, clean_up) as held, signals_as_interrupts():
        folder = results.new_folder(asked[0].name)
        held.note(folder=str(folder))
        runtime: Runtime = ComposeRuntime("run") if options.runtime == "docker" else ProcessRuntime(folder / "logs")
        try:
            return measure_each(options, asked, folder, runtime, held, arguments)
        finally:
            take_down(runtime, held)


def measure_each(  # noqa: PLR0913, PLR0917  # all that a run is made of
    options: Namespace,
    asked: Sequence[Experiment],
    folder: Path,
    runtime: Runtime,
    held: lock.Held,
    arguments: Callable[[str], Sequence[str]],
) -> list[Ended]:
    """Measure until an interrupt, which counts for the experiment that it ended. `folder`: the first one's.

    Raises LabError.
    """
    ended: list[Ended] = []
    prepared: Mapping[str, str] | None = None
    experiment = asked[0]
    try:
        for one in asked:
            experiment, folder = one, results.new_folder(one.name) if ended else folder
            held.note(folder=str(folder))
            try:
                prepare(runtime, held, prepared, experiment.deployment)
                prepared = experiment.deployment
                code = measure_one(options, experiment, runtime, folder, arguments(experiment.name))
            except Exception as error:
                results.drop_if_empty(folder)
                if not ended:
                    raise
                details = error.details if isinstance(error, LabError) else traceback.format_exc()  # a bug
                print(f"{experiment.name} was not measured: {error}\n{details}", file=sys.stderr, flush=True)
                code = ExitCode.INVALID
            ended.append(Ended(experiment, code, results.finish(folder)))
            if code == ExitCode.INTERRUPTED:
                break
    except Interrupted:
        with signals_ignored():
            if len(ended) < len(asked):  # else it came after the last
                interrupted = asked[len(ended)]
                begun = results.finish(folder) if interrupted is experiment else None
                ended.append(Ended(interrupted, ExitCode.INTERRUPTED, begun))
    if ended[-1].code == ExitCode.INTERRUPTED and ended[-1].folder is None:
        kept = results.remains(folder)
        missing = "its report was written" if kept else "anything was measured"
        print(f"{ended[-1].experiment.name} was stopped before {missing}.{kept}", file=sys.stderr, flush=True)
    return ended


def prepare(runtime: Runtime, held: lock.Held, before: Mapping[str, str] | None, after: Mapping[str, str]) -> None:
    """Prepare another deployment, unless it is the same. Raises LabDown."""
    if before == after:
        return
    if before is not None:
        runtime.down()
    runtime.prepare(after)
    held.note(project=runtime.project)


def take_down(runtime: Runtime, held: lock.Held) -> None:
    """Stop what the runtime started; where that fails say so, and leave the record for the next launcher."""
    with signals_ignored():
        try:
            runtime.down()
        except LabError as error:
            held.something_is_left = True
            print(f"loadtests: {error}\n{error.details}", file=sys.stderr, flush=True)


def clean_up(killed: lock.Facts) -> bool:
    """Remove what a launcher that was killed left up; return whether nothing is left. Its services ended with it."""
    print(f"Cleaning up after `{killed.get('command')}`, which could not do it itself …", file=sys.stderr, flush=True)
    try:
        if project := killed.get("project"):
            compose.take_down(project)
    except (LabError, OSError) as error:
        print(f"loadtests: {error}", file=sys.stderr, flush=True)
        return False
    if (folder := Path(killed.get("folder") or "/nonexistent")).is_dir():
        compose.take_back(folder)
        results.drop_if_empty(folder)
    return True


def running_order(experiment: Experiment) -> tuple[list[tuple[str, str]], bool]:
    """Which come first: those without a deployment of their own, since each change takes the services down and up
    again, and of them the one whose noise floor stands in the others.
    """
    return sorted(experiment.deployment.items()), experiment.name != floor.EXPERIMENT


def measure_one(
    options: Namespace, experiment: Experiment, runtime: Runtime, folder: Path, arguments: Sequence[str]
) -> ExitCode:
    """Raises LabError, Interrupted."""
    names = experiment.targets
    print(f"Starting {', '.join(names)} and the api ({runtime.limits}) …", flush=True)
    try:
        if experiment.fresh:
            runtime.drop([name for name in names if name in KEPT])
        runtime.up(names)
        remember(runtime, folder, command(options, experiment), quick=options.quick)
        generator = runtime.generate(["measure", *arguments], folder)
        code = wait_for(runtime, generator)
        if code != ExitCode.INTERRUPTED and not (folder / "report.html").exists():
            raise LabError(
                f"the load generator ended without a report (exit status {code}); its last words are above."
                f"{results.remains(folder)}"
            )
        return code
    finally:
        with signals_ignored():
            runtime.drop([name for name in names if name not in KEPT])


def command(options: Namespace, experiment: Experiment) -> str:
    """What a person types to run the same again."""
    asked = {
        "EXPERIMENT": experiment.name,
        "QUICK": "1" if options.quick else "",
        "USERS": amounts(options.users),
        "THINK": "" if options.think is None else f"{options.think:g}",
        "RATE": amounts(options.rate),
        "ARRIVALS": options.arrivals,
        "REPEATS": str(options.repeats or (experiment.quickened() if options.quick else experiment).repeats),
        **{knob.variable: getattr(options, knob.name) for knob in knobs.KNOBS},
        "RUNTIME": options.runtime,
        **without_password({name: os.environ.get(name, "") for name in repeated()}),
    }
    return " ".join(["make loadtest", *(f"{name}={shlex.quote(value)}" for name, value in asked.items() if value)])


def repeated() -> list[str]:
    """Return the variables that a run depends on beside the knobs: part of the command that repeats it, where set."""
    knobs_of_pages = {knob.variable for knob in knobs.KNOBS}
    return [name for name in variables.of_runs(variables.topology()) if name not in knobs_of_pages]


def remember(runtime: Runtime, folder: Path, repeat: str, *, quick: bool) -> None:
    """What the launcher knows of this run, for the generator to complete."""
    described = manifest.launched(ROOT, runtime.name, runtime.describe(), repeat)
    described["noise_floor"] = floor.measured(runtime.name, described["machine"], quick=quick)
    if runtime.name == "process":
        described["warnings"].append(f"Not isolated: {runtime.limits}.")
    manifest.write(described, folder)


def wait_for(runtime: Runtime, generator: subprocess.Popen[bytes]) -> ExitCode:
    """Print what the generator prints and return its exit code.

    An interrupt is passed on, and a second one does not wait for the report.
    """
    try:
        print_output(generator, LONGEST_RUN)
        return exit_code(generator.wait())
    except Interrupted:
        print("\nStopping: the report of what was measured is being written …", file=sys.stderr, flush=True)
        runtime.interrupt(generator)
        try:
            print_output(generator, LAST_WORDS)
            generator.wait(LAST_WORDS)
        except (Interrupted, subprocess.TimeoutExpired):
            generator.kill()
            generator.wait()
        return ExitCode.INTERRUPTED


def print_output(generator: subprocess.Popen[bytes], seconds: float) -> None:
    """Print until the generator closes its output. Raises TimeoutExpired after `seconds`."""
    pipe = cast("IO[bytes]", generator.stdout)
    deadline = time.monotonic() + seconds
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        text = os.read(pipe.fileno(), 65536)
        if not text:
            return
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
    raise subprocess.TimeoutExpired(generator.args, seconds)


def exit_code(status: int) -> ExitCode:
    """A generator that ends in any other way than by its own exit codes has measured nothing valid."""
    try:
        return ExitCode(status)
    except ValueError:
        raise LabError(
            f"the load generator ended unexpectedly (exit status {status}). What it had measured, if anything, is in "
            "the run's folder, under raw/."
        ) from None


def check_document(name: str) -> None:
    """Raise BadInput where the file cannot be written, before twenty minutes are spent on it."""
    path = Path(name)
    try:
        with suppress(FileNotFoundError):
            path.lstat()  # also whether there can be such a name
        possible = not path.is_dir() and path.parent.is_dir() and os.access(path.parent, os.W_OK)
    except (OSError, ValueError):  # a name that is too long, or no name at all
        possible = False
    if not name or not possible or path.suffix == ".json":  # which the figures behind it are written to
        raise BadInput(
            "--write-to must be a file in a folder that exists and can be written to, and not .json; "
            f"it is {name[:120]!r}"
        )


def write_document(name: str, text: str) -> None:
    """Write a document, whole or not at all. Raises LabError."""
    files.write(Path(name), text)
    print(f"Written: {name}", flush=True)


def claims_command_line(options: Namespace) -> str:
    everything = options.experiments == list(experiments.catalogue())
    asked = {
        "EXPERIMENT": "" if everything else ",".join(options.experiments),
        "QUICK": "1" if options.quick else "",
        "RUNTIME": options.runtime,
    }
    return " ".join(["make claims", *(f"{name}={shlex.quote(value)}" for name, value in asked.items() if value)])


def serve(options: Namespace) -> ExitCode:
    """Keep the lab with Locust's web UI up until Ctrl-C. Raises LabError, also when a service ends meanwhile."""
    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    with lock.held(f"up-{checkout}", "make up", clean_up) as held, signals_as_interrupts():
        runtime: Runtime = ComposeRuntime() if options.runtime == "docker" else ProcessRuntime(results.web_ui_logs())
        try:
            save_to = os.environ.get("SAVE_TO") or str(results.FOLDER)
            runtime.prepare({"SAVE_TO": save_to} if options.runtime == "process" else {})
            held.note(project=runtime.project)
            print(f"Starting the lab ({runtime.limits}) …", flush=True)
            runtime.up([GENERATOR])
            urls = runtime.published()
            for service, url in urls.items():
                print(f"  {service:6} {url}")
            print(f"Open {urls[GENERATOR]}/compare and press Start; Ctrl-C ends the lab.", flush=True)
            while not (ended := runtime.ended()):
                time.sleep(LOOK)
            raise LabDown(
                f"{', '.join(ended)} stopped unexpectedly, so the lab was shut down. The last log lines of {ended[0]}:",
                runtime.last_words(ended[0]),
            )
        except Interrupted:
            return ExitCode.CONFIRMED
        finally:
            take_down(runtime, held)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Ctrl-C, and the signals that a closing terminal or a service manager sends, raise Interrupted."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise Interrupted

    with handled(interrupt):
        yield


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Cleaning up takes a few seconds and is not left half done."""
    with handled(signal.SIG_IGN):
        yield


@contextmanager
def handled(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if NOHUP:
        numbers.remove(signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
