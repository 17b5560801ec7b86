"""The services as containers: Docker Compose, or what DOCKER names (DOCKER=podman)."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from loadtests import ROOT
from loadtests.errors import BadInput, LabDown
from loadtests.host import runtime
from loadtests.host.shell import run_long, run_quiet, start
from loadtests.host.topology import required
from loadtests.model.service import ASSISTANT, GENERATOR
from loadtests.results import files

ANSWER_TIMEOUT = 20  # seconds
START_TIMEOUT = 60  # seconds until all services have to be healthy
PROBE_INTERVAL = 0.5  # seconds, where the engine does not probe by itself
BUSY = 2  # times the cores: a load average at which processes wait long for one
GENERATOR_UID = 10001  # of the user in the images

PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")  # the names that Compose takes
# Of a shell: each would lead Compose to another file, or to services that are not asked for.
OWN_FILES = "APP_COMPOSE"  # the variable that names the Compose files that stand beside the lab's
FOREIGN = ("COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROFILES")


def engine() -> list[str]:
    """Return the command of the engine. Raises BadInput."""
    command = os.environ.get("DOCKER") or "docker"
    try:
        return shlex.split(command) or ["docker"]
    except ValueError as error:
        raise BadInput(f"DOCKER must be a command, as in docker or podman; it is {command[:80]!r} ({error})") from None


def ask_engine(*words: str) -> subprocess.CompletedProcess[str]:
    return run_quiet([*engine(), *words])


def is_podman() -> bool:
    return Path(engine()[0]).name == "podman"


def is_rootless() -> bool:
    """Return whether the engine runs as its user and not as root, as Podman's usually does."""
    described = ask_engine("info", "--format", "{{json .}}").stdout
    return '"rootless":true' in described or "name=rootless" in described  # as Podman and as Docker say it


def this_user() -> str:
    """Return a container's user whose files this user can remove; root can remove everybody's, so it is nobody then."""
    if is_rootless():
        return "0:0"
    return f"{os.getuid()}:{os.getgid()}" if os.getuid() else f"{GENERATOR_UID}:{GENERATOR_UID}"


def why_no_engine() -> str | None:
    """Return why no engine with Compose can be used; None where one answers. Raises BadInput."""
    asks_api, oldest_api = ["version", "--format", "{{.Client.APIVersion}}"], (1, 44)
    asks_engine, oldest_engine = (["info"], ()) if is_podman() else (asks_api, oldest_api)
    no_plugin = "it has no Compose plugin (on Debian and Ubuntu: apt install docker-compose-plugin)"
    for words, missing, needed, oldest in (
        (asks_engine, "the engine does not answer", "Docker 25 or newer, with API 1.44", oldest_engine),
        (["compose", "version", "--short"], no_plugin, "Compose 2.26 or newer", (2, 26)),
    ):
        command = [*engine(), *words]
        try:
            asked = run_quiet(command, timeout=ANSWER_TIMEOUT)
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        except subprocess.TimeoutExpired:
            return f"`{shlex.join(command)}` did not answer in {ANSWER_TIMEOUT} s"
        if asked.returncode:
            # Podman ends with a line of its own, after the one that says why.
            lines = [line for line in asked.stderr.splitlines() if line.strip() and "Error: executing" not in line]
            return f"{missing}: {lines[-1].strip()}" if lines else f"{missing}: `{shlex.join(command)}` failed"
        version = tuple(map(int, re.findall(r"\d+", asked.stdout)[:3]))
        if not version and oldest:
            return f"`{shlex.join(command)}` names no version: DOCKER must be Docker or Podman"
        if version < oldest:
            return f"{needed} is needed; this one has {asked.stdout.strip()[:40]}"
    return None


def described(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what Compose says of the topology, without an engine. Raises LabDown."""
    command = [*engine(), "compose", f"--file={ROOT / 'compose.yaml'}", "--profile=*", "config", "--format", "json"]
    try:
        asked = run_quiet(command, env=environment(**variables, PULL_POLICY="missing"))
    except OSError as error:
        raise LabDown(
            f"{command[0]}: {error.strerror}. Install Docker's client with Compose, which reads it."
        ) from error
    if asked.returncode:
        raise LabDown(f"{shlex.join(command)} failed.", runtime.plain(asked.stderr))
    found: dict[str, Any] = json.loads(asked.stdout)
    return found


def take_down(project: str) -> None:
    """Remove all containers and networks of a Compose project, also those that were run by hand. Raises LabDown."""
    command = [*engine(), "compose", f"--project-name={project}", "down", "--remove-orphans", "--timeout", "3"]
    # Not from the checkout: what the project has is asked of the engine, whatever compose.yaml says by now.
    ended = run_quiet(command, cwd="/", env=environment())
    if ended.returncode:
        raise LabDown(
            f"the containers of the project {project} could not be taken down. The next run tries again, or you do: "
            f"{shlex.join(command)}",
            runtime.plain(ended.stderr),
        )


def environment(**variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in FOREIGN} | variables


def depends_on(service: Mapping[str, Any]) -> list[str]:
    """Return what a service needs, also what its environment names, as DATABASE_URL may name the lab's PostgreSQL."""
    found = service.get("depends_on", {})
    values = [str(value) for value in service.get("environment", {}).values()]
    return [name for name in found if name in required(found) or any(f"@{name}:" in value for value in values)]


def environment_of(service: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a service's variables; one that has no value is taken from the shell, and is empty here."""
    return [(name, str(value or "")) for name, value in (service.get("environment") or {}).items()]


def short_of() -> str:
    """Return what a service may lack that says nothing, as far as it can be seen from here."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    memory = "was it short of memory (AGGREGATOR_MEMORY, API_MEMORY), of which each worker takes some?"
    if load > BUSY * cores:
        busy = f"the machine is busy, with a load average of {load:.1f} on {cores} cores"
        return f"{busy}. End what else runs on it, and try again. Or {memory}"
    return memory


def without_what_podman_lacks(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration without start_interval, which Podman's API refuses, and Docker's network options.

    While the lab starts, the launcher probes the services in Podman's place.
    """
    changed = deepcopy(dict(config))
    for service in changed["services"].values():
        service.get("healthcheck", {}).pop("start_interval", None)
    changed["networks"] = {name: network or {} for name, network in changed["networks"].items()}
    for network in changed["networks"].values():
        network.pop("driver_opts", None)
    return changed


def take_back(folder: Path) -> None:
    """Make this user the owner of a run's folder and all that is in it."""
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):  # a run that never began to measure leaves no folder
            os.chown(path, os.getuid(), os.getgid(), follow_symlinks=False)


class ComposeRuntime:
    """Brings services up and down as containers, and runs the load generator beside them."""

    name = "docker"
    # What isolates the services from each other, in words.
    limits = "CPU and memory of each service are limited as compose.yaml says"
    warnings: tuple[str, ...] = ()  # of every run
    remove = staticmethod(take_down)  # all of a project

    def __init__(self, kind: str = "") -> None:
        """Give what is started a project of its own, beside `docker compose up`, if it has a `kind`, as 'run'."""
        self._kind = kind
        self._variables: Mapping[str, str] = {}
        self._built: set[str] = set()  # images
        self._started: set[str] = set()
        self._generator: str | None = None
        self._folder: Path | None = None  # of the run
        self._lent: Path | None = None  # a folder that was given to the generator's user
        self._services: dict[str, Any] = {}  # as Compose describes them
        self._known: dict[str, Any] = {}  # the same, without the files beside the lab's
        self._networks: dict[str, Any] = {}  # likewise
        self._instead: IO[str] | None = None  # a configuration in the place of the files
        self.project = ""

    def prepare(self, variables: Mapping[str, str] | None = None) -> None:
        """Build what the services need; say so when it takes long.

        `variables`: those of compose.yaml that are set for this time, beside the environment's.
        """
        if why := why_no_engine():
            raise LabDown(f"Docker cannot be used ({why}). Correct that, or run the lab without it: RUNTIME=process.")
        if not PROJECT.fullmatch(name := os.environ.get("COMPOSE_PROJECT_NAME") or "lab"):
            allowed = "small letters, digits, - and _, and begin with a letter or a digit"
            raise BadInput(f"COMPOSE_PROJECT_NAME must hold only {allowed}; it is {name[:80]!r}")
        self._instead, self.project = None, ""
        self._variables = {**(variables or {}), OWN_FILES: ""}
        config = json.loads(self._ask("config", "--format", "json"))
        self._known, self._variables = config["services"], dict(variables or {})
        self.project = config["name"]
        ports = [runtime.port_variable(name) for name, service in config["services"].items() if service.get("ports")]
        runtime.refuse_shared_ports(ports)
        if self._kind:
            if self._containers():
                print(f"The lab that is up as {self.project} is left alone; load on it disturbs this one.", flush=True)
            self.project = f"{config['name']}-{self._kind}-{os.getuid()}"
            # Beside another lab, whose ports are taken: the engine chooses, unless somebody asks for a port.
            self._variables = {**{port: "0" for port in ports if not os.environ.get(port)}, **self._variables}
        config = json.loads(self._ask("config", "--format", "json"))
        self._services, self._networks = config["services"], config["networks"]
        if is_podman():
            self._instead = NamedTemporaryFile("w", suffix=".json", encoding="utf-8")  # noqa: SIM115  # until `down`
            json.dump(without_what_podman_lacks(config), self._instead)
            self._instead.flush()
        if self._containers():
            raise LabDown(
                f"the lab is up already, as the Compose project {self.project}. Use it, or take it down first: "
                f"{shlex.join([*engine(), 'compose', f'--project-name={self.project}', 'down'])}"
            )
        first = [name for name, service in self._services.items() if not service.get("profiles")]
        self._refuse_taken_ports(first)
        self._build(first)

    def _containers(self) -> str:
        """Return the ids of the project's containers that run."""
        return self._ask("ps", "--quiet", "--status", "running")

    def _refuse_taken_ports(self, services: Iterable[str]) -> None:
        for service in services:
            for port in self._services[service].get("ports", ()):
                if port["published"] != "0":
                    runtime.refuse_taken_port(service, port["published"])

    def _image(self, service: str) -> str:
        return str(self._services[service].get("image", f"{self.project}-{service}"))  # as Compose calls what has none

    def _build(self, services: Sequence[str]) -> None:
        one_of_each = {self._image(name): name for name in services if "build" in self._services[name]}
        missing = sorted(image for image in one_of_each if ask_engine("image", "inspect", image).returncode)
        if missing:
            print(f"Building {', '.join(missing)} (once, about a minute) …", flush=True)
        run_long([*self._compose, "build", *one_of_each.values()], "building the images", self._environment)
        self._built |= set(one_of_each)

    def up(self, services: Sequence[str]) -> None:
        """Start the services and those that they need, as far as they do not run, and wait until they are healthy."""
        services = runtime.with_dependencies(services, lambda name: depends_on(self._services[name]))
        running = self._running()
        if running >= set(services):
            return
        runtime.say_started_again(self._started & set(services) - running)
        if unbuilt := [name for name in services if self._image(name) not in self._built]:
            self._build(unbuilt)
        self._refuse_taken_ports(name for name in services if name not in running)
        self._started |= set(services)
        self._start(services)

    def _start(self, services: Sequence[str]) -> None:
        # Without the profiles of others: who depends on a service that is not asked for goes without it.
        up = [*self._compose_files, "up", "--detach", "--wait", f"--wait-timeout={START_TIMEOUT}", *services]
        starting = start(up, self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = None
        try:
            while said is None:
                try:
                    said = starting.communicate(timeout=PROBE_INTERVAL)[1]
                except subprocess.TimeoutExpired:
                    self._probe()
        finally:
            starting.kill()  # when interrupted
        if starting.returncode:
            raise self._failure(services, said)

    def run(self, service: str, command: Sequence[str]) -> None:
        """Run a command as the service, which does not run, to its end. Raises LabDown with its last lines."""
        if needed := runtime.with_dependencies([service], lambda name: depends_on(self._services[name]))[:-1]:
            self.up(needed)
        self._build([service])
        words = [*self._compose, "run", "--rm", "--no-deps", "--no-TTY", service, *command]
        self._started.add(service)  # until it has ended
        run_long(words, shlex.join(command), self._environment)
        self._started.discard(service)

    def ended(self) -> list[str]:
        """Return those services that `up` started and that no longer run."""
        return sorted(self._started - self._running())

    def last_words(self, service: str) -> str:
        """Return the last lines of a service's log."""
        return runtime.plain(self._ask("logs", "--no-log-prefix", "--tail", str(runtime.LOG_LINES), service))

    def _running(self) -> set[str]:
        return set(self._ask("ps", "--services", "--status", "running").split())

    def drop(self, services: Sequence[str]) -> None:
        """Stop those of the services that `up` started."""
        if ours := self._started & set(services):
            self._run("rm", "--stop", "--force", *sorted(ours))
            self._started -= ours

    def _probe(self) -> None:
        """Probe the services of Podman, which leaves that to systemd's timers; Docker does it by itself."""
        if is_podman():
            for container in self._ask("ps", "--quiet").split():
                ask_engine("healthcheck", "run", container)

    def generate(
        self, arguments: Sequence[str], targets: Sequence[str], folder: Path, assistants: int = 0
    ) -> subprocess.Popen[bytes]:
        """Start `python -m loadtests …` where it reaches the targets, and so many others that share its load.

        It sees `folder` as its own. The end of its standard input tells it that the launcher is gone.
        """
        self._end_generator()
        self._take_back()
        self._folder = folder
        if assistants:
            self._started.add(ASSISTANT)
            self._assist(assistants)
        self._generator = f"{self.project}-generator-{datetime.now(UTC):%H%M%S%f}"
        # Without the profiles: Compose would make the networks of all services, and say so in the generator's output.
        command = [*self._compose_files, "run", "--rm", "--no-deps", "--no-TTY", "--name", self._generator]
        command += ["--use-aliases"] if assistants else []  # by which these find it
        # z: where SELinux guards files, as on Fedora, the container may write there
        command += ["--user", self._owner(folder), "--volume", f"{folder}:/results:z"]
        for variable, value in (runtime.addresses(targets) | runtime.terminal_environment()).items():
            command += ["--env", f"{variable}={value}"]
        command += [GENERATOR, "python", "-m", "loadtests", *arguments, "--folder=/results"]
        return runtime.start_generator(command, self._environment)

    def _assist(self, number: int) -> None:
        """Start so many load generators that share the load of the one that is started next."""
        scaled = self._run("up", "--detach", "--no-deps", f"--scale={ASSISTANT}={number}", ASSISTANT)
        if scaled.returncode:
            raise LabDown("the load generators could not be started.", runtime.plain(scaled.stderr, lines=3))

    def _owner(self, folder: Path) -> str:
        """Return who may write into the run's folder: its owner, because no container of the lab runs as root."""
        if is_rootless():
            return "0:0"  # not root outside: in its containers a rootless engine's user has this id
        owner = folder.stat()
        if owner.st_uid:
            return f"{owner.st_uid}:{owner.st_gid}"
        try:
            for path in (folder, *folder.rglob("*")):  # also what is in it: a strict umask keeps others out
                os.chown(path, GENERATOR_UID, GENERATOR_UID)
        except OSError as error:
            raise LabDown(
                f"RESULTS must be a folder that root may give to another user (chown {GENERATOR_UID}), because nobody "
                f"is root in a container of the lab; {folder}: {error.strerror}. Set RESULTS to another folder, run "
                "the lab as a user who is not root, or without containers (RUNTIME=process)."
            ) from error
        self._lent = folder
        return f"{GENERATOR_UID}:{GENERATOR_UID}"

    def _end_generator(self) -> None:
        if self._generator:
            ask_engine("rm", "--force", self._generator)
            self._generator = None
        if ASSISTANT in self._started and self._folder and (said := self.last_words(ASSISTANT)):
            files.write(self._folder / "logs" / f"{ASSISTANT}.log", f"{said}\n")
        self.drop([ASSISTANT])

    def _take_back(self) -> None:
        """Take back what was given to the generator's user, once no generator writes there any more."""
        if self._lent:
            take_back(self._lent)
            self._lent = None

    def interrupt(self, generator: subprocess.Popen[bytes]) -> None:
        """Ask the load generator to stop and to write what it has."""
        if self._generator:
            ask_engine("kill", "--signal", "INT", self._generator)

    def lost(self) -> str:
        """Return a sentence where a machine that the services run on is lost; here there is but this one."""
        return ""

    def bring_back(self, folder: Path) -> None:
        """Fetch what the generator wrote into its folder, where that is on another machine."""

    def down(self) -> None:
        """Stop what `up` and `generate` started, and nothing else. Raises LabDown where something is left."""
        self._end_generator()  # first: it is on the network that goes with the services
        try:
            if self._started:
                self.remove(self.project)
                self._started.clear()
        finally:
            self._take_back()

    def published(self) -> Mapping[str, str]:
        """Return the URL of each service that is up, on this machine."""
        return {
            name: f"http://{port['host_ip']}:{port['published']}"
            for name, service in self._services.items()
            if name in self._started
            for port in service.get("ports", ())
        }

    def describe(self) -> Mapping[str, Any]:
        """Return the command, the environment and the limits of each service, for the manifest."""
        version = ask_engine("version", "--format", "{{.Server.Version}}").stdout.strip()
        described: dict[str, Any] = {"engine": f"{engine()[0]} {version}"}
        for name, service in self._services.items():
            if name in {*self._started, GENERATOR}:
                memory = int(service["mem_limit"]) if "mem_limit" in service else None
                known = dict(environment_of(self._known.get(name, {})))  # what somebody adds may be secret
                environment = {key: value if key in known else "…" for key, value in environment_of(service)}
                command = service.get("command") or ()
                described[name] = runtime.description(command, environment, service.get("cpus"), memory)
        return described

    @property
    def _compose(self) -> list[str]:
        return [*self._compose_files, "--profile=*"]

    @property
    def _compose_files(self) -> list[str]:
        own = self._variables.get(OWN_FILES)
        beside = own.split(os.pathsep) if own else []
        files = [self._instead.name] if self._instead else [str(ROOT / "compose.yaml"), *beside]
        project = [f"--project-name={self.project}"] if self.project else []
        return [*engine(), "compose", *project, *(f"--file={file}" for file in files)]

    @property
    def _environment(self) -> dict[str, str]:
        # What was built in the beginning is what runs, in silence, whatever is edited meanwhile.
        return environment(**self._variables, PULL_POLICY="missing")

    def _ask(self, *words: str) -> str:
        """Return what a Compose command prints. Raises LabDown."""
        asked = self._run(*words)
        if asked.returncode:
            raise LabDown(f"{shlex.join([*self._compose, *words])} failed.", runtime.plain(asked.stderr))
        return asked.stdout

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run_quiet([*self._compose, *words], cwd=ROOT, env=self._environment)

    def _failure(self, services: Sequence[str], said: str) -> LabDown:
        """Return which service did not become healthy, with its last log lines; or else Compose's own words."""
        for state in map(json.loads, self._ask("ps", "--all", "--format", "json").splitlines()):
            is_bad = state["State"] in {"exited", "restarting"} or state.get("Health") in {"unhealthy", "starting"}
            if is_bad and (service := state["Service"]) in services:
                logs = self.last_words(service)
                words = "Its last log lines:" if logs else f"It wrote nothing: {short_of()}"
                status = state.get("Status") or state["State"]
                return LabDown(f"the service {service} is not healthy ({status}). {words}", logs)
        return LabDown("the containers could not be started.", runtime.plain(said, lines=3))
