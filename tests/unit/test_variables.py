"""What a person sets, where it comes from, and what is refused by name."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.command_line import main, parser
from loadtests.errors import BadInput, ExitCode
from loadtests.host import topology, variables
from loadtests.host.variables import LIMITS, LOAD, WEB_UI, Variables, near_misses, read_dotenv
from loadtests.model import knobs
from services import bounds

KNOWN = topology.declared(topology.text())
NAMES = {*KNOWN, *variables.OPTIONS, *variables.EVERYWHERE}

# The names of variables in the environments of common shells, desktops, CI services, Kubernetes and hosting services.
NAMES_OF_OTHERS = """
BASH_ENV BUILD_ID CFLAGS CI CI_JOB_TOKEN COLORTERM COMPOSE_FILE COMPOSE_PROJECT_NAME CONDA_PREFIX CONTAINER_NAME
DATABASE_URI DBUS_SESSION_BUS_ADDRESS DEBIAN_FRONTEND DISPLAY DOCKER_HOST DYNO EDITOR ENV FORK_PORT GITHUB_ACTIONS
GITHUB_TOKEN GPG_AGENT_INFO HISTSIZE HOME HOST HOSTNAME HOSTTYPE HTTPS_PROXY INVOCATION_ID JAVA_HOME JOB_NAME
JOURNAL_STREAM KUBERNETES_PORT KUBERNETES_SERVICE_PORT LANG LANGUAGE LATENCY_BUDGET LC_ALL LESS LOCUST_HOST LOCUST_USERS
LOGNAME LS_COLORS MAIL MAILCHECK MAKEFLAGS MAKELEVEL MANPATH MAX_WORKERS MEMORY_LIMIT NODE_ENV NO_COLOR OLDPWD OSTYPE
PAGER PATH PGUSER PORT POSTGRES_DB POSTGRES_PASSWORD POSTGRES_PORT POSTGRES_USER PS1 PWD PYTHONPATH RANDOM REDIS_URL
RUNNER_OS RUST_BACKTRACE SEED_DATA SHELL SHLVL SSH_AUTH_SOCK TERM THREADS TIMEOUT TMPDIR TZ UID USER USERNAME
VIRTUAL_ENV VISUAL WEB_CONCURRENCY WORKDIR WORKERS WORKSPACE XDG_RUNTIME_DIR XDG_SESSION_ID _ container http_proxy
"""
INNOCENT = NAMES_OF_OTHERS.split()


def given(
    environment: Mapping[str, str] | None = None, typed: str = "", dotenv: Mapping[str, str] | None = None
) -> Variables:
    return Variables(environment or {}, KNOWN, frozenset(typed.split()), dotenv or {})


def check(found: Variables, command: str = "run") -> None:
    found.check(command, (*LOAD, "RUNTIME"))


def test_the_variables_are_those_that_the_process_runtime_fills_in() -> None:
    filled_in = {
        match["name"]
        for match in topology.VARIABLE.finditer(re.sub(r"#.*", "", topology.text()))
        if match["default"] is not None
    }
    assert set(KNOWN) == filled_in
    assert float(KNOWN["LATENCY"]) > 0


def test_every_option_of_the_commands_has_a_variable_that_is_known() -> None:
    options = {
        action.dest.upper()
        for command in parser(None)._subparsers._group_actions[0].choices.values()  # type: ignore[union-attr]  # noqa: SLF001
        for action in command._actions  # noqa: SLF001
    }
    assert {*variables.OPTIONS} <= {*options, *variables.OWN, *variables.OF_CLUSTERS}
    assert options <= {*NAMES, "ENGINE", "HELP", "DOCUMENT", "WRITE_TO", "LOCK", "FOLDER", "RECORDING", "FORM", "JSON"}


def test_every_default_of_compose_yaml_is_allowed() -> None:
    check(given({name: default for name, default in KNOWN.items() if name not in variables.SET_BY_THE_LAB}))


RECORD = """
import json
from services import env
numbers, choices = {}, {}
number, choice = env.number, env.choice
def record_number(name, bound):
    numbers[name] = [bound.minimum, bound.maximum, bound.whole]
    return number(name, bound)
def record_choice(name, allowed):
    choices[name] = list(allowed)
    return choice(name, allowed)
env.number, env.choice = record_number, record_choice
import services.aggregator.settings, services.api.app, services.target, services.telemetry.trace
print(json.dumps([numbers, choices]))
"""


def test_the_bounds_are_those_that_the_services_enforce(root: Path) -> None:
    database = {"DATABASE_URL": "sqlite:////tmp/unused", "DATABASE_POOL": "1"}
    environment = {**os.environ, "INTERFACE": "wsgi", "THREADS": "10", **database}
    printed = subprocess.check_output([sys.executable, "-c", RECORD], cwd=root, env=environment)
    numbers, choices = json.loads(printed)
    inside = {"WORKERS": "WSGI_WORKERS", "THREADS": "WSGI_THREADS"}  # as compose.yaml hands them on
    ours = {knob.variable: [knob.minimum, knob.maximum, knob.whole] for knob in (*knobs.KNOBS, *knobs.DEPLOYMENT)}
    enforced = {inside.get(name, name): bound for name, bound in numbers.items()}
    assert ours == {**enforced, **dict.fromkeys(("ASGI_WORKERS", "API_WORKERS"), numbers["WORKERS"])}
    assert choices.pop("INTERFACE") == ["wsgi", "asgi"]  # which compose.yaml declares, and nobody sets
    assert {name: list(allowed) for name, allowed in knobs.CHOICES.items()} == choices


@pytest.mark.parametrize(
    "text", ["1", "+1", ".5", "1.", "1e0", "1_0", "\u0663", " 1", "1 ", "", "nan", "0x1", "1" * 40]
)
def test_a_number_is_read_as_the_services_read_it(text: str) -> None:
    try:
        enforced: float | None = replace(bounds.WORK, maximum=10).parse(text)
    except bounds.OutOfBounds:
        enforced = None
    try:
        assert replace(knobs.KNOBS[-1], maximum=10).parse(text) == enforced
    except BadInput:
        assert enforced is None


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("HANG", "2", "HANG must be a number from 0 to 1; it is '2'"),
        ("TRACE", "yes", "TRACE must be one of 0, 1; it is 'yes'"),
        ("WORK", "/scratch/user", "WORK must be a number from 0 to 1; it is '/scratch/user'"),
        ("API_PORT", "tcp://10.0.0.1:80", "API_PORT must be a port from 1 to 65535; it is 'tcp://10.0.0.1:80'"),
        ("LOCUST_PORT", "0", "LOCUST_PORT must be a port from"),
        ("AGGREGATOR_CPUS", "many", "AGGREGATOR_CPUS must be a number from 0.01 to 1024"),
        ("API_MEMORY", "5x", "API_MEMORY must be 6m"),
        ("API_MEMORY", "1k", "API_MEMORY must be 6m"),
        ("SEED", "2147483649", "SEED must be a whole number from 0 to 2147483648"),
        ("TELEMETRY", "false", "TELEMETRY must be one of on, off; it is 'false'"),
        ("MIDDLEWARE_SET", "all", "MIDDLEWARE_SET must be one of lab, none"),
        ("WSGI_THREADS", "1e1", "WSGI_THREADS must be a whole number"),
        ("LAB_RUNTIME", "docker", "LAB_RUNTIME is set by the lab alone"),
        ("STRATEGY", "sequential", "STRATEGY is for the web UI .* not 'sequential'. Choose an experiment"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_the_name_of_its_variable(
    name: str, text: str, sentence: str
) -> None:
    with pytest.raises(BadInput, match=f"^{sentence}"):
        check(given({name: text}))


@pytest.mark.parametrize("text", ["512m", "1.5g", "1G", "2500m", "8388608", "64mb", "1T"])
def test_an_amount_of_memory_is_written_as_docker_reads_it(text: str) -> None:
    check(given({"API_MEMORY": text}))


def test_the_strategy_of_the_web_ui_is_allowed_there_and_its_default_everywhere() -> None:
    check(given({"STRATEGY": "sequential"}), "up")
    check(given({"STRATEGY": "parallel"}), "run")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LATENY", "LATENCY"),
        ("LATNECY", "LATENCY"),
        ("LATENCX", "LATENCY"),
        ("latency", "LATENCY"),
        ("EXPERIMENTS", "EXPERIMENT"),
        ("WSGI_THREAD", "WSGI_THREADS"),
        ("FANOUT", "FAN_OUT"),
    ],
)
def test_a_near_miss_is_refused_with_what_was_meant(name: str, meant: str) -> None:
    for found in (given({name: "5"}), given(dotenv={name: "5"})):
        with pytest.raises(BadInput, match=f"^{name} .*means nothing to the lab; did you mean {meant}\\?"):
            check(found)


def test_an_innocent_shell_is_not_refused() -> None:
    assert list(near_misses(INNOCENT, NAMES)) == []
    check(given(dict.fromkeys(INNOCENT, "/x")))


@pytest.mark.parametrize(
    ("command", "name", "end"),
    [
        ("run", "LATENY", "did you mean LATENCY"),
        ("run", "latency", "did you mean LATENCY"),
        ("run", "CFLAGS", "The README and"),
        ("run", "SAVE_TO", "The README and"),
        ("up", "SAVE_TO", ""),
        ("run", "HANG", ""),
        ("run", "SHELL", ""),
        ("run", "COMPOSE_PROJECT_NAME", ""),
        ("run", "DOCKER_HOST", ""),
        ("run", "VENV", ""),
    ],
)
def test_what_is_typed_after_make_has_to_be_of_use(command: str, name: str, end: str) -> None:
    if not end:
        check(given(typed=name), command)
        return
    with pytest.raises(BadInput, match=f"^`{command}` takes no variable {name}.*{end}"):
        check(given(typed=name), command)


def test_a_limit_that_local_processes_are_not_held_to_is_refused_by_name() -> None:
    limits = [name for name in KNOWN if name.endswith(LIMITS)]
    assert {"AGGREGATOR_CPUS", "API_MEMORY"} <= set(limits)
    for name in limits:
        with pytest.raises(BadInput, match=f"^{name} limits a container"):
            given({name: "1"}).refuse_limits()
    given({"LATENCY": "1"}).refuse_limits()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\ufeffA=1\r\nB = 2 \n\n# C=3\nexport D=4 # four\nE: 5", {"A": "1", "B": "2", "D": "4", "E": "5"}),
        ('A=\'a # $B\'\nB="b\\n\\"c\\"" # x\nC=\nD=x#y', {"A": "a # $B", "B": 'b\n"c"', "C": "", "D": "x#y"}),
        (
            "A=1\nB=$A\nC=${A}${HOME}\nD=${NO:-d}\nE=$$A\nF='$A'",
            {"A": "1", "B": "1", "C": "1/me", "D": "d", "E": "$A", "F": "$A"},
        ),
        ('A="one\ntwo"\nB=3', {"A": "one\ntwo", "B": "3"}),
        ("HOME\nA=1", {"A": "1"}),
        ("", {}),
    ],
)
def test_a_dotenv_file_is_read_as_compose_reads_it(text: str, found: dict[str, str]) -> None:
    assert read_dotenv(text, {"HOME": "/me"}) == found


@pytest.mark.parametrize("text", ["A=1\nB='open\n", "A=1\n=2", "A=1\nB C=2", 'A=1\nB="x"y'])
def test_a_dotenv_file_that_cannot_be_read_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(BadInput, match=r"^\.env, line 2: lines must be NAME=value"):
        read_dotenv(text, {})


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> Path:
    shutil.copy(root / "compose.yaml", tmp_path)
    shutil.copytree(root / "compose", tmp_path / "compose")
    monkeypatch.setattr(variables, "ROOT", tmp_path)
    return tmp_path


def test_a_dotenv_file_sets_what_the_environment_does_not_and_only_what_the_lab_knows(checkout: Path) -> None:
    (checkout / ".env").write_text("LATENCY=3\nJITTER=1\nPATH=/evil\nEXPERIMENT=slots\n", encoding="utf-8")
    environment = {"JITTER": "2"}
    found = variables.gather(environment)
    assert environment == {"LATENCY": "3", "JITTER": "2", "EXPERIMENT": "slots"}
    assert "file .env" in found.origin("LATENCY")
    assert "environment" in found.origin("JITTER")


def test_what_make_needs_before_it_is_read_cannot_stand_in_a_dotenv_file() -> None:
    with pytest.raises(BadInput, match=r"^\.env sets VENV, which is needed before \.env is read"):
        check(given(dotenv={"VENV": "/x"}))


def test_a_sentence_says_where_the_value_comes_from_unless_it_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORK", "/scratch/user")
    for typed, where in (("", "WORK comes from the environment"), ("WORK=/scratch/user", "it is '/scratch/user'\n")):
        monkeypatch.setenv(variables.TYPED, typed)
        assert main(["predict"]) == ExitCode.NOT_UP
        assert where in capsys.readouterr().err
    monkeypatch.setenv("WORK", "0")
    monkeypatch.setenv("LATENCY_P99", "abc")
    assert main(["predict"]) == ExitCode.NOT_UP
    assert "LATENCY_P99 comes from the environment" in capsys.readouterr().err, "a name may have digits"
    monkeypatch.delenv("LATENCY_P99")
    monkeypatch.setenv("WORK", "1")
    assert main(["predict", "--work=2"]) == ExitCode.NOT_UP
    assert "comes from" not in capsys.readouterr().err


def test_make_passes_on_the_names_that_were_typed_and_not_what_another_makefile_passes_down(root: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "TYPED"))}

    def passed_on(*words: str, **more: str) -> set[str]:
        """The recipe of `make experiments` prints what it was given, in the place of Python."""
        command = ["make", "-s", "experiments", *words, "PYTHON=printenv TYPED_AFTER_MAKE; :"]
        printed = subprocess.check_output(command, cwd=root, env={**environment, **more}, encoding="utf-8")
        return set(variables.TYPED_NAME.findall(printed.strip()))

    assert passed_on("LATENCY=1 FOO=2", "USERS:=3", "LATENY=5") == {"LATENCY", "USERS", "LATENY", "PYTHON"}
    assert passed_on("LATENCY=1", MAKELEVEL="1", MAKEFLAGS=" -- CFLAGS=-O2") == set()


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        *((text, True) for text in ("1", "true", "Yes", "on")),
        *((text, False) for text in ("0", "false", "NO", "off", "")),
    ],
)
def test_a_switch_is_on_or_off(text: str, yes: bool) -> None:  # noqa: FBT001
    assert knobs.switch("QUICK", text) is yes


def test_a_switch_that_says_neither_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^QUICK must be 1, true, yes or on, or 0, false, no or off; it is 'maybe'"):
        knobs.switch("QUICK", "maybe")


def test_what_repeats_a_run_has_every_variable_of_compose_yaml_that_a_run_depends_on() -> None:
    text = "a: ${SEED:-1} ${API_PORT:-2} $${NOT:-3} # ${NOR:-4}\nb: [${STRATEGY:-p}, ${LAB_RUNTIME:-d}, ${API_CPUS:-1}]"
    assert variables.of_runs(text) == ["SEED", "API_CPUS"]
    assert not set(WEB_UI) & set(variables.of_runs(topology.text()))


@pytest.mark.parametrize(
    ("typed", "measured", "refused"),
    [
        ("PAGES", "", "PAGES does not apply to the lab's own pages"),
        ("APP_SETUP", "", "APP_SETUP does not apply to the lab's own pages"),
        ("MIDDLEWARE_SET", "", ""),
        ("MIDDLEWARE_SET", "APP", "MIDDLEWARE_SET does not apply to the project that APP names"),
        ("REMOTE", "APP", "REMOTE does not apply to the project that APP names"),
        ("PAGES APP_ENV UPSTREAMS WSGI_THREADS", "APP", ""),
        ("UPSTREAMS", "TARGETS", "UPSTREAMS does not apply to TARGETS"),
        ("PAGES APP_HOST REMOTE", "TARGETS", ""),
    ],
)
def test_a_variable_that_says_nothing_about_what_is_measured_is_refused(
    typed: str, measured: str, refused: str
) -> None:
    if not refused:
        given(typed=typed).refuse_useless(measured)
        return
    with pytest.raises(BadInput, match=f"^{refused}"):
        given(typed=typed).refuse_useless(measured)
