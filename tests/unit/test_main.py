"""`python3 -m loadtests` on Pythons, in locales and with streams as they come; a person would start it so."""

from __future__ import annotations

import ast
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadtests import experiments
from loadtests.command_line import EXAMPLES, main
from loadtests.errors import ExitCode
from loadtests.host import launch
from loadtests.host.variables import OPTIONS
from loadtests.model.knobs import KNOBS

COMMAND = [sys.executable, "-m", "loadtests"]
SENTENCE = "loadtests: A: there is no nowhere; name two runs: make compare A=results/… B=results/latest\n"


@pytest.fixture
def environment(clean_environment: Mapping[str, str]) -> dict[str, str]:
    return {**clean_environment, "TYPED_AFTER_MAKE": ""}


def shell(line: str, root: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S602  # our own line
        line, shell=True, cwd=root, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def test_help_fits_80_columns_and_its_examples_name_what_there_is(environment: Mapping[str, str], root: Path) -> None:
    makefile = (root / "Makefile").read_text()
    for command, examples in EXAMPLES.items():
        shown = shell(f"{sys.executable} -m loadtests {command} --help", root, {**environment, "COLUMNS": "80"})
        assert shown.stdout.endswith(f"examples:{examples}\n")
        assert max(map(len, shown.stdout.splitlines())) <= 80
        for target, rest in re.findall(r"^ +make ([a-z-]+)(.*)", examples, re.MULTILINE):
            assert f"\n{target}:" in makefile
            assert set(re.findall(r"\b([A-Z]+)=", rest)) <= {*OPTIONS, *(knob.variable for knob in KNOBS)}


COMPARE = f"{sys.executable} -m loadtests compare --a=nowhere --b=nowhere"


@pytest.mark.parametrize(
    "settings",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "en_US.ISO-8859-1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONUTF8": "1"},
    ],
)
def test_output_is_utf_8_whatever_the_locale(settings: dict[str, str], root: Path, environment: dict[str, str]) -> None:
    ended = shell(COMPARE, root, environment | settings)
    assert (ended.returncode, ended.stderr) == (ExitCode.NOT_UP, SENTENCE)


def test_an_encoding_without_our_letters_gets_others(root: Path, environment: dict[str, str]) -> None:
    ended = shell(COMPARE, root, {**environment, "PYTHONIOENCODING": "ascii"})
    assert (ended.returncode, ended.stderr) == (ExitCode.NOT_UP, SENTENCE.replace("…", "?"))


def test_ctrl_c_while_the_modules_load_is_no_verdict_and_no_traceback(
    root: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "difflib.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    loading = subprocess.Popen(
        [*COMMAND, "list"],
        cwd=root,
        env={**environment, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # a job in the background ignores it
    )
    with loading:
        assert loading.stdout
        assert loading.stdout.readline() == "loading\n"
        loading.send_signal(signal.SIGINT)
        assert loading.communicate(timeout=60) == ("", "")
    assert loading.returncode == ExitCode.INTERRUPTED


@pytest.mark.parametrize(
    "streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full", ">/dev/full 2>/dev/full"]
)
def test_closed_and_full_streams_change_no_exit_status(streams: str, root: Path, environment: dict[str, str]) -> None:
    assert shell(f"{COMPARE} {streams}", root, environment).returncode == ExitCode.NOT_UP


def test_a_list_that_cannot_be_written_is_no_success(root: Path, environment: dict[str, str]) -> None:
    assert shell(f"{sys.executable} -m loadtests list >/dev/full", root, environment).returncode == ExitCode.NOT_UP


def test_an_empty_environment_is_enough(root: Path) -> None:
    ended = shell(f"exec env -i {COMPARE}", root, {})
    assert (ended.returncode, ended.stderr) == (ExitCode.NOT_UP, SENTENCE)


def test_an_old_python_can_parse_what_tells_it_so(root: Path) -> None:
    source = (root / "loadtests" / "__main__.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    ast.parse((root / "loadtests" / "__init__.py").read_text(encoding="utf-8"), feature_version=(3, 6))


AS_OLD = (
    "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0); runpy.run_module('loadtests', run_name='__main__')"
)
INCOMPLETE = "import runpy, sys; sys.modules['argparse'] = None; runpy.run_module('loadtests', run_name='__main__')"


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        (AS_OLD, "loadtests: Python 3.11 or newer is needed; "),
        (INCOMPLETE, "argparse halted; None in sys.modules: this Python lacks part of its standard library"),
    ],
)
def test_a_python_that_cannot_run_the_lab_is_told_so_with_status_3(
    program: str, sentence: str, root: Path, environment: dict[str, str]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == ExitCode.NOT_UP
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_list_needs_nothing_but_the_standard_library(root: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {LIST}"]
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, encoding="utf-8", check=True)
    assert "slots\n    How many threads does WSGI need" in ended.stdout
    assert "s of load, quick " in ended.stdout


LIST = "from loadtests.command_line import main; sys.exit(main(['list']))"


@pytest.mark.parametrize(
    "error", [RuntimeError("of the lab"), OSError(28, "No space left"), RecursionError(), MemoryError()]
)
def test_an_unexpected_error_is_a_sentence_with_its_traceback_and_never_a_verdict(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(experiments, "catalogue", fail)
    assert main(["list"]) == ExitCode.NOT_UP
    said = capsys.readouterr().err
    assert f"loadtests: an unexpected error ended the command: {type(error).__name__}" in said
    assert "in fail" in said


@pytest.mark.parametrize(
    "words",
    [
        ["compare", f"--a={'x' * 100_000}", "--b=y"],
        ["compare", "--a=x\0y", "--b=y"],
        ["run", "x" * 100_000],
        ["run", "--users=" + "1," * 50_000],
        ["run", f"--users={'9' * 100_000}"],
        ["run", "--users=-1"],
        ["run", "--users=\u0661"],
        ["run", "--users=1\0"],
        ["run", f"--experiment={'x' * 100_000}"],
        ["run", "--quick=maybe"],
        ["claims", f"--write-to={'x' * 100_000}"],
        ["claims", "--write-to=x\0"],
        ["claims", "--write-to="],
        ["predict", "--latency=nan"],
        ["render"],
        ["render", "nomad"],
        ["render", "swarm", "--experiment=nothing"],
        ["render", "swarm", "--write-to=x\0"],
        ["nonsense"],
        [],
    ],
    ids=lambda words: " ".join(words)[:40].encode("unicode_escape").decode(),
)
def test_arguments_that_make_no_sense_end_with_a_short_sentence(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "choose_runtime", lambda _: pytest.fail("the lab would start"))
    assert main(words) == ExitCode.NOT_UP
    said = capsys.readouterr().err
    assert said.startswith("loadtests: ")
    assert "unexpected" not in said
    assert len(said) < 800
