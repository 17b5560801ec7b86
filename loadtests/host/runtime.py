"""What compose.py and processes.py share, which run the services in containers, or locally with the same commands.

Both have the same methods, described at ComposeRuntime; each raises LabDown with the reason and the last log lines.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from string import Template
from typing import Any

from loadtests.errors import BadInput, LabDown
from loadtests.host.shell import start
from loadtests.model import knobs
from loadtests.model.knobs import LOGIN
from loadtests.model.service import PORT

LOG_LINES = 15
PIPE = 2**20  # bytes of output that a launcher which was stopped (Ctrl-Z) leaves unread before the generator waits
TOKEN = "GENERATOR_TOKEN"  # noqa: S105  # its name; another one in each run
CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|.)|[\x00-\x08\x0b-\x1f\x7f]")
# Up to the last @, however little of it was percent-encoded; a word with :// begins another URL.
PASSWORD = re.compile(r"(\w://[^:\s]*):(?:\S|\s(?!\S*://))*@")


def start_generator(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the load generator with pipes to it and from it."""
    return start(command, environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pipesize=PIPE)


def plain(text: str, lines: int = LOG_LINES) -> str:
    """Return the last lines of a log, without what only a terminal understands."""
    clean = (CONTROL.sub("", line.rpartition("\r")[2]).rstrip() for line in text.rstrip().splitlines())
    return "\n".join([line for line in clean if line][-lines:])


def command_line(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the command as a shell writes it, with the `$NAMES` that services.telemetry.supervise fills in."""
    return shlex.join(Template(word.replace("$$", "$")).safe_substitute(environment) for word in words)


def description(
    command: Sequence[str], environment: Mapping[str, str], cpus: float | None = None, memory: int | None = None
) -> dict[str, Any]:
    """Return a service for the manifest. `memory` in bytes; a limit is None where there is none."""
    return {
        "command": command_line(command, environment),
        "environment": without_password(environment),
        "cpus": cpus,
        "memory_bytes": memory,
    }


def with_dependencies(services: Iterable[str], needs: Callable[[str], Iterable[str]]) -> list[str]:
    """Return the services and all that they need, each after what it needs."""
    ordered: dict[str, None] = {}
    for service in services:
        ordered |= dict.fromkeys((*with_dependencies(needs(service), needs), service))
    return list(ordered)


def without_password(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without passwords, which a database's URL and the web UI's login may hold, and tokens."""
    shown = {name: PASSWORD.sub(r"\1:…@", str(value)) for name, value in environment.items() if name != TOKEN}
    return shown | ({LOGIN: re.sub(":.*", ":…", shown[LOGIN])} if LOGIN in shown else {})


def refuse_taken_port(service: str, port: str) -> None:
    """Raise LabDown where the port is taken, BadInput where it is none."""
    variable = port_variable(service)
    knobs.check(variable, port)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError:
            taken = f"port {int(port)}, which {service} needs, is taken by another program"
            raise LabDown(f"{taken}. Stop that program, or set {variable} to a free port.") from None


def refuse_shared_ports(variables: Iterable[str]) -> None:
    """Refuse two services at one port, of which one would answer for both. Raises BadInput."""
    asked: dict[str, str] = {}
    for variable in variables:
        port = os.environ.get(variable, "").lstrip("0")
        if port and (other := asked.setdefault(port, variable)) != variable:
            raise BadInput(f"{other} and {variable} must be different ports; both are {port[:80]}")


def say_started_again(services: Iterable[str]) -> None:
    if services := sorted(services):
        print(f"Not running any longer, so started again: {', '.join(services)}.", flush=True)


def port_variable(service: str) -> str:
    """Return the name of the variable in compose.yaml."""
    return f"{service.upper().replace('-', '_')}_PORT"


def addresses(targets: Iterable[str]) -> dict[str, str]:
    """Return what tells the load generator where containers of these names are."""
    return {"TARGETS": " ".join(f"{name}=http://{name}:{PORT}" for name in targets)}


def terminal_environment() -> dict[str, str]:
    """Return what tells a program behind a pipe that its output ends in a terminal."""
    if not os.isatty(1):
        return {}
    columns, lines = os.get_terminal_size(1)
    said = dict.fromkeys(("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"), "1")
    # A size is 0 where the terminal does not know: nobody's width.
    said |= {name: str(size) for name, size in (("COLUMNS", columns), ("LINES", lines)) if size}
    said |= {"NO_COLOR": "1"} if os.environ.get("NO_COLOR") else {}
    return said | {"TERM": os.environ.get("TERM", "xterm-256color")}
