"""The variables that a person sets: which there are, where each comes from, and which are refused by name.

compose.yaml's are read off its `${NAME:-default}`; the command line has some of its own. The file .env beside
compose.yaml holds variables as Compose reads them; the environment comes before it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field

from loadtests import ROOT
from loadtests.errors import BadInput, did_you_mean
from loadtests.host import topology
from loadtests.model import knobs
from loadtests.model.knobs import LOGIN

# What the Makefile passes on of its own command line (MAKEOVERRIDES): `LATENCY=5 USERS=1\ 2`.
TYPED = "TYPED_AFTER_MAKE"
TYPED_NAME = re.compile(r"(?:^|(?<!\\)\s)([^\s:=?+!]+)[:?+!]*=")
OF_OTHERS = re.compile(r"\.?SHELL(FLAGS)?|MAKE|COMPOSE_\w+|DOCKER_\w+")  # of make, Compose and Docker themselves

# And the knobs, which are compose.yaml's.
LOAD = ("EXPERIMENT", "USERS", "THINK", "RATE", "ARRIVALS", "REPEATS", "QUICK", "GENERATORS")
# Of a project of one's own; what else there is stands in compose/own.yaml.
OWN = ("APP", "IMAGE", "PAGES", "LOCUSTFILE", "APP_ENV", "APP_COMPOSE", "UPSTREAMS", "TARGETS", "REMOTE")
OF_UP = tuple(name for name in OWN if name not in {"TARGETS", "REMOTE"})  # which serves what it shows
OF_PROJECTS = (*OWN, "APP_SETUP", "APP_HOST", "SETTINGS", "WSGI_APP", "ASGI_APP")
OF_TARGETS = ("TARGETS", "REMOTE", "PAGES", "LOCUSTFILE", "APP_HOST")
# Of the lab's own pages and its api, which a project of one's own has not.
OF_PAGES = (
    *("HANG", "SEED", "CALL_TIMEOUT", "CONNECT_TIMEOUT", "DEADLINE", "MAX_CONNECTIONS", "THREADPOOL"),
    *("DATABASE_URL", "DATABASE_POOL", "MIDDLEWARE_SET", "DJANGO_THREADS"),
)
OF_CLUSTERS = ("LAB_ENGINE", "LAB_REGISTRY", "LAB_BUILD")  # of several machines
OPTIONS = (*LOAD, *OWN, *OF_CLUSTERS, "RUNTIME", "A", "B", "RUN", "PNG", "SVG", "N")
EVERYWHERE = ("PYTHON", "VENV", "RESULTS", "DOCKER")  # read by every command, or by make
BEFORE_DOTENV = ("PYTHON", "VENV")  # they decide what reads the file
SET_BY_THE_LAB = (
    *("LAB_RUNTIME", "PULL_POLICY", "APP_USER", "APP_PAGES", "APP_COPY", "APP_VARIABLES", "APP_UPSTREAMS"),
    *("APP_CERTIFICATES", "APP_PACKAGES", "APP_TARGET", "GENERATOR_TOKEN", "WEB_UI_PROCESSES", "TELEMETRY_READERS"),
)
WEB_UI = ("STRATEGY", "SAVE_TO", "TRUSTED_ORIGINS", LOGIN)  # compose.yaml's, but of no run
LIMITS = ("_CPUS", "_MEMORY")  # how the names of the variables end that only containers are held to
SHORTEST = 6  # letters; another program's USER or LANG is one letter from USERS and HANG
OTHERS = {"DATABASE_URI", "TARGET"}  # one letter from a variable of the lab, and often set for another program

ASSIGNMENT = re.compile(
    r"""
    [ \t]* (?:export[ \t]+)? (?P<name>[A-Za-z_][\w.-]*) [ \t]*
    (?:[=:] [ \t]* (?: (?: '(?P<literal>[^']*)' | "(?P<quoted>(?:\\.|[^"\\])*)" ) [ \t]* (?:\#[^\n]*)?
                    | (?P<bare>(?:[^'"\n][^\n]*)?) ) )?
    (?:\n|\Z)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
NO_ASSIGNMENT = re.compile(r"[ \t]*(?:\#[^\n]*)?(?:\n|\Z)")
ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
EXPANDED = re.compile(
    r"(?P<escaped>\\\$|\$\$)|\$\{(?P<braced>\w+)(?::?-(?P<default>[^}]*))?\}|\$(?P<plain>[A-Za-z_]\w*)"
)


def of_runs(text: str) -> list[str]:
    """Return the variables of a Compose file that a run depends on: all but ports, and but the web UI's own."""
    others = (*WEB_UI, *SET_BY_THE_LAB)
    return [name for name in topology.declared(text) if name not in others and not name.endswith("_PORT")]


def read_dotenv(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a .env file sets: as Compose reads it, with quotes, comments, `export` and $NAMES.

    `environment` is what $NAMES are looked up in before the file itself. Raises BadInput.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[str, str] = {}

    def value_of(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        return "$" if match["escaped"] else environment.get(name) or found.get(name) or match["default"] or ""

    position = 0
    while position < len(text):
        if blank := NO_ASSIGNMENT.match(text, position):
            position = blank.end()
            continue
        line = text.count("\n", 0, position) + 1
        if not (match := ASSIGNMENT.match(text, position)):
            wrong = text[position:].partition("\n")[0][:80]
            raise BadInput(f".env, line {line}: lines must be NAME=value, with quotes in pairs; this is {wrong!r}")
        position = match.end()
        if match["literal"] is not None:
            found[match["name"]] = match["literal"]
        elif match["quoted"] is not None:
            unescaped = re.sub(r"\\([nrt\"\\])", lambda at: ESCAPED.get(at[1], at[1]), match["quoted"])
            found[match["name"]] = EXPANDED.sub(value_of, unescaped)
        elif "=" in match[0] or ":" in match[0]:  # else the environment's own value is meant
            found[match["name"]] = EXPANDED.sub(value_of, match["bare"].partition(" #")[0].strip())
    return found


@dataclass(frozen=True)
class Variables:
    """What is set, and where: `environment` holds all of it, `typed` the names after make, `dotenv` what .env sets."""

    environment: Mapping[str, str]
    known: Mapping[str, str]  # compose.yaml's, with their defaults
    typed: frozenset[str] = frozenset()
    dotenv: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """Return those of compose.yaml's variables that are set."""
        return {name for name in self.known if self.environment.get(name)}

    def origin(self, name: str) -> str:
        """Return the sentence that says where a variable's value comes from, and how to get rid of it there."""
        ours = name in (*self.known, *LOAD, *OWN, *OF_CLUSTERS, "RUNTIME", *EVERYWHERE)
        if not ours or name in self.typed or not self.environment.get(name):
            return ""
        if self.dotenv.get(name) == self.environment[name]:
            return f"{name} comes from the file .env: correct it there, or remove it."
        return (
            f"{name} comes from the environment. If another program set it, unset it for the lab (`env -u {name} …`), "
            f"or give the lab another value (`make … {name}=…`)."
        )

    def check(self, command: str, own: Collection[str]) -> None:
        """Raise BadInput for a variable that `command` does not take, a near miss, or a value out of bounds.

        `own`: the variables of the command's options. One that chooses a RUNTIME takes compose.yaml's, too.
        """
        for name in BEFORE_DOTENV:
            if name in self.dotenv:
                remedy = f"Remove it there, and give it to make (make … {name}=…) or export it."
                raise BadInput(f".env sets {name}, which is needed before .env is read. {remedy}")
        measures = "RUNTIME" in own
        if measures and command != "up":
            self._refuse_strategy(command)
        of_run = self.known.keys() - (set() if command == "up" else WEB_UI) if measures else set()
        self._refuse_typed(command, {*EVERYWHERE, *own, *of_run})
        if not measures:
            return
        self._refuse_near_misses()
        for name in self.known:
            if value := self.environment.get(name):
                if name in SET_BY_THE_LAB:
                    raise BadInput(f"{name} is set by the lab alone; it is {value[:80]!r}. Unset it.")
                knobs.check(name, value)

    def _refuse_strategy(self, command: str) -> None:
        strategy = self.environment.get("STRATEGY", "")
        if strategy and strategy != self.known["STRATEGY"]:
            raise BadInput(
                f"STRATEGY is for the web UI (make up): `{command}` measures the strategies of its EXPERIMENT, and not "
                f"{strategy[:80]!r}. Choose an experiment that has this strategy: EXPERIMENT=fan-out has sequential, "
                "threadpool and gather under both servers."
            )

    def _refuse_typed(self, command: str, taken: Collection[str]) -> None:
        for name in sorted(self.typed - set(taken)):
            if not OF_OTHERS.fullmatch(name):
                raise BadInput(
                    f"`{command}` takes no variable {name[:80]}{did_you_mean(name.upper(), taken) or '.'} The README "
                    f"and `python3 -m loadtests {command} --help` say what it takes."
                )

    def _refuse_near_misses(self) -> None:
        for name, meant in near_misses((*self.environment, *self.dotenv), {*EVERYWHERE, *OPTIONS, *self.known}):
            where, remedy = "in .env", "Correct or remove it."
            if name not in self.dotenv:
                run = f"run the lab without it: `env -u {name[:80]} …`."
                where, remedy = "is set and", f"If another program needs it, {run}"
            raise BadInput(f"{name[:80]} {where} means nothing to the lab; did you mean {meant}? {remedy}")

    def refuse_useless(self, measured: str) -> None:
        """Raise BadInput for a variable after make that says nothing about what is measured.

        `measured`: "TARGETS", "APP" or "IMAGE" where one of them names it; empty for the lab's own pages.
        """
        of_others = (*OF_PAGES, "TARGETS", "REMOTE")
        elsewhere = {*OF_PAGES, *OF_PROJECTS} - {*OF_TARGETS}
        useless, to_what = {
            "": (OF_PROJECTS, "the lab's own pages: set APP to a project's folder, or IMAGE or TARGETS"),
            "APP": (of_others, "the project that APP names: leave one of the two out"),
            "IMAGE": ((*of_others, "SETTINGS", "PYTHON_IMAGE"), "the image that IMAGE names: leave one of the two out"),
            "TARGETS": (elsewhere, "TARGETS, which the lab does not start: leave one of the two out"),
        }[measured]
        for name in sorted(self.typed & set(useless)):
            raise BadInput(f"{name} does not apply to {to_what}.")

    def refuse_limits(self) -> None:
        """Raise BadInput for a limit that local processes are not held to."""
        for name in self.known:
            if name.endswith(LIMITS) and self.environment.get(name):
                raise BadInput(
                    f"{name} limits a container, and as local processes nothing is limited (RUNTIME=process); it is "
                    f"{self.environment[name][:80]!r}. Unset it, or run the lab in containers (RUNTIME=docker)."
                )


def near_misses(names: Iterable[str], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each name that is one edit away from a long known one, with that one."""
    known = set(known)
    for name in names:
        if len(name) >= SHORTEST and name not in known and name not in OTHERS:
            yield from ((name, meant) for meant in known if len(meant) >= SHORTEST and one_edit(name.upper(), meant))


def one_edit(first: str, second: str) -> bool:
    """Return whether one letter more, less, another or swapped with the next makes one word of the other."""
    short, long = sorted((first, second), key=len)
    same = next((at for at, (one, other) in enumerate(zip(short, long, strict=False)) if one != other), len(short))
    short, long = short[same:], long[same:]
    return short in (long, long[1:]) or short[1:] == long[1:] or (short[:2], short[2:]) == (long[1::-1], long[2:])


def gather(environment: MutableMapping[str, str]) -> Variables:
    """Return what is set; what .env sets of the lab's variables is in the environment from here on. Raises BadInput."""
    known = topology.declared(topology.text())
    file = ROOT / ".env"
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f".env cannot be read: {error}. Make it a readable text in UTF-8, or remove it.") from error
    dotenv = read_dotenv(text, environment)
    typed = frozenset(TYPED_NAME.findall(environment.get(TYPED, "")))
    for name in (*OPTIONS, *EVERYWHERE, *known):
        if name in dotenv:
            environment.setdefault(name, dotenv[name])
    return Variables(environment, known, typed, dotenv)
