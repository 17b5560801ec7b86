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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from types import FrameType
from typing import IO, NoReturn, cast

from loadtests import ROOT, experiments
from loadtests.errors import BadInput, ExitCode, Interrupted, LabDown, LabError
from loadtests.host import compose, generators, lock, own, topology, variables
from loadtests.host.compose import ComposeRuntime, why_no_engine
from loadtests.host.elsewhere import Elsewhere, ElsewhereRuntime
from loadtests.host.kubernetes import KubernetesRuntime
from loadtests.host.processes import ProcessRuntime
from loadtests.host.runtime import without_password
from loadtests.host.swarm import SwarmRuntime
from loadtests.model import knobs
from loadtests.model.experiment import Experiment
from loadtests.model.run_options import RunOptions
from loadtests.model.service import GENERATOR
from loadtests.results import folders, history, index, manifest

Runtime = ComposeRuntime | ProcessRuntime
CLUSTERS: Mapping[str, type[ComposeRuntime]] = {"swarm": SwarmRuntime, "kubernetes": KubernetesRuntime}
Project = own.OwnProject | Elsewhere  # of somebody's own: what the lab serves, or what runs already
RUNTIMES = ("auto", "docker", "process")
LOOK = 5.0  # seconds between two looks at the services that the web UI needs, and at a cluster's nodes
NOHUP = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # as nohup(1) starts it: it outlives its terminal
LONGEST_RUN = 7 * 24 * 3600.0  # seconds
LAST_WORDS = 30.0  # seconds that an interrupted generator has to write its report
AFTER_A_LOSS = 90.0  # the same where a node is lost: what is asked there is waited for first, one thing after the other


def choose_runtime(asked: str) -> str:
    """Return 'docker', 'process', or the cluster that LAB_ENGINE names. Raises BadInput."""
    cluster = os.environ.get("LAB_ENGINE")
    if not cluster or asked != cluster:  # else it has been chosen before
        knobs.refuse_other("RUNTIME", asked, RUNTIMES)
    for name in ("LAB_REGISTRY", "LAB_BUILD"):
        if os.environ.get(name) and not cluster:
            raise BadInput(f"{name} is for the nodes of a cluster: set LAB_ENGINE to swarm or kubernetes, or unset it.")
    if cluster:
        knobs.refuse_other("LAB_ENGINE", cluster, CLUSTERS)
        if asked == "process":
            raise BadInput("LAB_ENGINE runs containers on a cluster's nodes: leave out RUNTIME=process, or LAB_ENGINE.")
        return cluster
    if asked != "auto":
        return asked
    if why := why_no_engine():
        print(f"Docker is not used ({why}): the same lab runs as local processes instead.", flush=True)
        return "process"
    return "docker"


@dataclass(frozen=True)
class RunOutcome:
    """How the run of one experiment ended: its exit code, and its folder if there is a report in it."""

    experiment: Experiment
    code: ExitCode
    folder: Path | None


def measure(
    asked: Sequence[Experiment], options: RunOptions, runtime_name: str, project: Project | None = None
) -> list[RunOutcome]:
    """Run each experiment, from nothing to its report; after an interrupt no other begins.

    `project`: of somebody's own, which the experiment measures.

    Raises LabError when the first could not be measured; a later one that could not counts as invalid, so that what was
    measured is not lost.
    """
    ordered = sorted((experiment.deployed(os.environ) for experiment in asked), key=running_order)
    asked_for = f"make loadtest EXPERIMENT={','.join(experiment.name for experiment in asked)}"
    with lock.held("run", asked_for, clean_up) as held, signals_as_interrupts(), ExitStack() as stack:
        folder = folders.new_folder(ordered[0].name)
        stack.callback(folders.drop_if_empty, folder)
        held.note(folder=str(folder))
        runtime: Runtime = CLUSTERS[runtime_name]() if runtime_name in CLUSTERS else ComposeRuntime("run")
        if runtime_name == "process":
            runtime = ProcessRuntime(folder / "logs")
        if isinstance(project, Elsewhere):
            runtime = ElsewhereRuntime(folder / "logs", project.urls)
        if project:
            staged = stack.enter_context(project.staged(folder, runtime_name, held.note))
            ordered = [replace(experiment, deployment=staged) for experiment in ordered]
        stack.callback(take_down, runtime, held)
        return measure_each(ordered, options, folder, runtime, held)


def measure_each(
    asked: Sequence[Experiment], options: RunOptions, folder: Path, runtime: Runtime, held: lock.Held
) -> list[RunOutcome]:
    """Measure until an interrupt, which counts for the experiment that it ended. `folder`: the first one's.

    Raises LabError.
    """
    outcomes: list[RunOutcome] = []
    prepared: Mapping[str, str] | None = None
    targets: Sequence[str] = ()  # that are up
    current = asked[0]
    try:
        for experiment in asked:
            current, folder = experiment, folders.new_folder(experiment.name) if outcomes else folder
            held.note(folder=str(folder))
            try:
                if experiment.deployment != prepared:
                    if prepared is not None:
                        runtime.down()
                    deploy(runtime, {**experiment.deployment, "GENERATOR_TOKEN": token_hex()}, held)
                    prepared = experiment.deployment
                runtime.drop(not_kept(targets, experiment))
                targets = experiment.targets
                code = measure_one(experiment, options, runtime, folder)
            except Exception as error:
                if not outcomes:
                    raise
                details = error.details if isinstance(error, LabError) else traceback.format_exc()  # a bug
                print(f"{experiment.name} was not measured: {error}\n{details}", file=sys.stderr, flush=True)
                code = ExitCode.INVALID
            outcomes.append(RunOutcome(experiment, code, finished(folder)))
            if code == ExitCode.INTERRUPTED:
                break
    except Interrupted:
        with signals_ignored():
            if len(outcomes) < len(asked):  # else it came after the last
                stopped = asked[len(outcomes)]
                begun = finished(folder) if stopped is current else None
                outcomes.append(RunOutcome(stopped, ExitCode.INTERRUPTED, begun))
    last = outcomes[-1]
    if last.code == ExitCode.INTERRUPTED and last.folder is None:
        kept = folders.remains(folder)
        missing = "its report was written" if kept else "anything was measured"
        print(f"{last.experiment.name} was stopped before {missing}.{kept}", file=sys.stderr, flush=True)
    return outcomes


def finished(folder: Path) -> Path | None:
    """Say where the report of a run is, and put it into the list of all; None where there is none."""
    found = folders.finish(folder)
    try:
        if found:
            index.write()
    except LabError as error:  # the report is there
        print(f"results/index.html is not up to date: {error}", file=sys.stderr, flush=True)
    return found


def deploy(runtime: Runtime, deployment: Mapping[str, str], held: lock.Held) -> None:
    """Prepare the runtime with these variables, and set a project up. Raises LabDown."""
    runtime.prepare(deployment)
    held.note(project=runtime.project, engine=runtime.name)
    if setup := deployment.get(own.SETUP):
        print(f"Setting the project up: {setup}", flush=True)
        of_folder, of_image = ["python", "-m", "services.own.setup"], ["/bin/sh", "-ec", setup]
        runtime.run(service_of(deployment), of_image if "IMAGE" in deployment else of_folder)


def service_of(deployment: Mapping[str, str]) -> str:
    """Return the service that serves a project under WSGI; empty for the lab's own pages."""
    return "wsgi-image" if "IMAGE" in deployment else "wsgi-own" if "APP_COPY" in deployment else ""


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
            if cluster := CLUSTERS.get(killed.get("engine", "")):
                cluster.remove(project)
    except (LabError, OSError) as error:
        print(f"loadtests: {error}", file=sys.stderr, flush=True)
        return False
    if scratch := killed.get("scratch"):
        own.remove(Path(scratch))
    if (folder := Path(killed.get("folder") or "/nonexistent")).is_dir():
        compose.take_back(folder)
        for name in (own.PAGES, own.LOCUSTFILE):
            (folder / name).unlink(missing_ok=True)
        folders.drop_if_empty(folder)
    return True


def running_order(experiment: Experiment) -> tuple[list[tuple[str, str]], bool]:
    """Return a key by which experiments without a deployment of their own come first, and of these the noise.

    Each change of deployment takes the services down and up again. The noise floor stands in the reports of the others.
    """
    return sorted(experiment.deployment.items()), experiment.name != history.NOISE


def not_kept(previous: Sequence[str], experiment: Experiment) -> list[str]:
    """Return which of the targets that are up to stop: those not needed, and all where they are to be fresh."""
    return [name for name in previous if experiment.fresh or name not in experiment.targets]


def measure_one(experiment: Experiment, options: RunOptions, runtime: Runtime, folder: Path) -> ExitCode:
    """Start the targets, then let the load generator measure. Raises LabError, Interrupted."""
    names = experiment.targets
    if options.generators is None:
        settings = {**topology.declared(topology.text()), **{k: v for k, v in os.environ.items() if v}}
        number, why = generators.chosen(experiment, options, {**settings, **experiment.deployment})
        print(why, flush=True)
        options = replace(options, generators=number)
    number = options.generators or 1
    assistants = number if number > 1 else 0
    print(f"Starting {', '.join(names)} and what they need ({runtime.limits}) …", flush=True)
    runtime.up(names)
    remember(runtime, folder, command(experiment, options, runtime.name), quick=options.quick)
    words = ["measure", f"--experiment={experiment.name}", *options.arguments]
    code = wait_for(runtime, runtime.generate(words, names, folder, assistants))
    runtime.bring_back(folder)
    if code != ExitCode.INTERRUPTED and not (folder / "report.html").exists():
        served = service_of(experiment.deployment)
        raise LabError(
            f"the load generator ended without a report (exit status {code}); its last words are above."
            f"{folders.remains(folder)}",
            runtime.last_words(served) if served else "",
        )
    return code


def command(experiment: Experiment, options: RunOptions, runtime_name: str) -> str:
    """Return what a person types to run the same again."""
    asked = replace(options, repeats=options.applied_to(experiment).repeats)
    knobs_of_pages = {knob.variable for knob in knobs.KNOBS}
    beside = [name for name in variables.of_runs(topology.text()) if name not in knobs_of_pages]
    others = without_password({name: os.environ.get(name, "") for name in (*beside, *variables.OWN)})
    return typed("loadtest", {"EXPERIMENT": experiment.name, **asked.variables, **where(runtime_name), **others})


def claims_command_line(asked: Sequence[Experiment], options: RunOptions, runtime_name: str) -> str:
    every = [experiment.name for experiment in asked] == list(experiments.catalogue())
    names = "" if every else ",".join(experiment.name for experiment in asked)
    asked_for = {name: options.variables.get(name, "") for name in ("QUICK", "GENERATORS")}
    return typed("claims", {"EXPERIMENT": names, **asked_for, **where(runtime_name)})


def where(runtime_name: str) -> dict[str, str]:
    """Return the variables that choose a runtime."""
    if runtime_name in CLUSTERS:
        return {name: os.environ.get(name, "") for name in variables.OF_CLUSTERS}
    return {"RUNTIME": runtime_name}


def typed(target: str, variables: Mapping[str, str]) -> str:
    """Return the command of make with those of the variables that are set."""
    words = (f"{name}={shlex.quote(value)}" for name, value in variables.items() if value)
    return " ".join([f"make {target}", *words])


def remember(runtime: Runtime, folder: Path, repeat: str, *, quick: bool) -> None:
    """Write what the launcher knows of this run, for the generator to complete."""
    described = manifest.launched(ROOT, runtime.name, runtime.describe(), repeat)
    described["noise_floor"] = history.noise_floor(runtime.name, described["machine"], quick=quick)
    described["warnings"] += runtime.warnings
    manifest.write(described, folder)


def wait_for(runtime: Runtime, generator: subprocess.Popen[bytes]) -> ExitCode:
    """Print what the generator prints and return its exit code.

    An interrupt is passed on, and a second one does not wait for the report. A lost node ends the run like one.
    """
    try:
        if not (lost := print_output(generator, LONGEST_RUN, runtime.lost)):
            return exit_code(generator.wait())
        code, why, patience = ExitCode.INVALID, lost, AFTER_A_LOSS
    except Interrupted:
        code, why = ExitCode.INTERRUPTED, "Stopping: the report of what was measured is being written …"
        patience = LAST_WORDS
    print(f"\n{why}", file=sys.stderr, flush=True)
    if code == ExitCode.INVALID and generator.stdin:  # for the report
        with suppress(OSError):  # it has just ended
            generator.stdin.write(why.encode())
            generator.stdin.flush()
    runtime.interrupt(generator)
    try:
        print_output(generator, patience)
        generator.wait(patience)
    except (Interrupted, subprocess.TimeoutExpired):
        generator.kill()
        generator.wait()
    return code


def print_output(generator: subprocess.Popen[bytes], seconds: float, look: Callable[[], str] = lambda: "") -> str:
    """Print until the generator closes its output, or until `look` finds a reason to stop, which is returned.

    Raises TimeoutExpired after `seconds`.
    """
    pipe = cast("IO[bytes]", generator.stdout)
    now = time.monotonic()
    deadline, next_look = now + seconds, now + LOOK
    while now < deadline:
        if select.select([pipe], [], [], max(0.0, min(deadline, next_look) - now))[0]:
            text = os.read(pipe.fileno(), 65536)
            if not text:
                return ""
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
        if (now := time.monotonic()) >= next_look:
            if reason := look():
                return reason
            next_look = time.monotonic() + LOOK
    raise subprocess.TimeoutExpired(generator.args, seconds)


def exit_code(status: int) -> ExitCode:
    """Return the generator's exit code. Raises LabError for any other status: then nothing valid was measured."""
    try:
        return ExitCode(status)
    except ValueError:
        raise LabError(
            f"the load generator ended unexpectedly (exit status {status}). What it had measured, if anything, is in "
            "the run's folder, under raw/."
        ) from None


def serve(runtime_name: str, processes: int = 1, project: own.OwnProject | None = None) -> ExitCode:
    """Keep the lab with Locust's web UI up until Ctrl-C. Raises LabError, also when a service ends meanwhile.

    `processes`: how many share its load.
    """
    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    with (
        lock.held(f"up-{checkout}", "make up", clean_up) as held,
        signals_as_interrupts(),
        TemporaryDirectory(prefix="lab-up-") as folder,
        ExitStack() as stack,
    ):
        runtime: Runtime = ComposeRuntime() if runtime_name == "docker" else ProcessRuntime(folders.web_ui_logs())
        variables = {"SAVE_TO": os.environ.get("SAVE_TO") or str(folders.FOLDER)} if runtime_name == "process" else {}
        if processes > 1:
            cpus = os.environ.get("LOCUST_CPUS") or str(processes)  # each computes on one core at a time
            variables |= {"WEB_UI_PROCESSES": str(processes), "LOCUST_CPUS": cpus}
        ui = "locust-own" if project else GENERATOR
        try:
            if project:
                variables |= stack.enter_context(project.staged(Path(folder), runtime_name, held.note))
            stack.callback(take_down, runtime, held)
            deploy(runtime, variables, held)
            print(f"Starting the lab ({runtime.limits}) …", flush=True)
            runtime.up([ui])
            urls = runtime.published()
            for service, url in urls.items():
                print(f"  {service:6} {url}")
            print(f"Open {urls[ui]}/compare and press Start; Ctrl-C ends the lab.", flush=True)
            while not (ended := runtime.ended()):
                time.sleep(LOOK)
        except Interrupted:
            return ExitCode.CONFIRMED
        raise LabDown(
            f"{', '.join(ended)} stopped unexpectedly, so the lab was shut down. The last log lines of {ended[0]}:",
            runtime.last_words(ended[0]),
        )


def signals_as_interrupts() -> AbstractContextManager[None]:
    """Raise Interrupted on Ctrl-C, and on the signals of a closing terminal or a service manager."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise Interrupted

    return handled(interrupt)


def signals_ignored() -> AbstractContextManager[None]:
    """Ignore signals: cleaning up takes a few seconds and is not left half done."""
    return handled(signal.SIG_IGN)


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
