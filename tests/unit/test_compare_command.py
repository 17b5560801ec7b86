from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtests.errors import BadInput, ExitCode
from loadtests.report import compare
from loadtests.report.compare import main, percent
from tests.unit.test_comparison import arm, step, summary


def write(folder: Path, content: dict[str, Any] | str) -> str:
    folder.mkdir()
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "summary.json").write_text(text)
    return str(folder)


@pytest.fixture
def good(tmp_path: Path) -> str:
    return write(tmp_path / "good", summary(arm(step())))


def said(capsys: pytest.CaptureFixture[str], a: str, b: str, code: int = ExitCode.CONFIRMED) -> list[str]:
    """The lines that a terminal of 80 columns shows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "columns", lambda: 80)
        assert main(a, b) == code
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    return lines


def last_sentence(lines: list[str]) -> str:
    return " ".join(lines[len(lines) - lines[::-1].index("") :])


def test_it_ends_with_what_changed_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wsgi = arm(step(100, 9.9, 9.9), target="wsgi", strategy="threadpool")
    a = write(tmp_path / "a", summary(arm(step(1, 1.0, 1.0), step(100, 93.1, 94.0, 94.5)), wsgi))
    b = write(tmp_path / "b", summary(arm(step(1, 1.0, 1.0), step(100, 70.0, 71.2, 72.0, times=1.3)), wsgi))
    lines = said(capsys, a, b)
    assert last_sentence(lines) == (
        "1 of 3 goodput figures changed beyond the noise, 3 of 9 response times by more than the floor of 5 %; the "
        "largest: ASGI gather at 100 users, goodput 94.0 → 71.2 pages/s (−24 %)."
    )
    assert " 100 users pages/s 94.0 (93.1–94.5) 71.2 (70.0–72.0)    −24 %  beyond the noise" in lines
    assert "           p95 s               1.00             1.30    +30 %  above the floor" in lines
    assert not any("One repeat" in line for line in lines)
    assert "Welch's t-test" in " ".join(lines)


def test_a_pipe_is_not_wrapped_and_a_narrow_terminal_loses_no_word(
    tmp_path: Path, good: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write(tmp_path / "b", summary(arm(step(100, 50.0))))
    main(good, other)
    piped = capsys.readouterr().out
    assert max(map(len, piped.splitlines())) > 200
    monkeypatch.setattr(compare, "columns", lambda: 40)
    main(good, other)
    narrow = capsys.readouterr().out
    assert max(map(len, narrow.splitlines())) <= 40
    assert "".join(narrow.split()) == "".join(piped.split())


def test_one_repeat_is_said_not_to_tell_noise_from_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = write(tmp_path / "a", summary(arm(step(100, 94.0))))
    b = write(tmp_path / "b", summary(arm(step(100, 70.0, 71.2, 72.0))))
    lines = said(capsys, a, b)
    assert "One repeat cannot tell noise from change" in " ".join(lines)
    assert "REPEATS=3" in " ".join(lines)
    assert last_sentence(lines).startswith("1 of 1 goodput figures and 0 of 3 response times changed by more than the")
    assert last_sentence(lines).endswith("one repeat cannot tell this from noise.")


def test_two_equal_runs_have_no_difference(good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, good, write(tmp_path / "b", summary(arm(step()))))
    assert "Nothing changed in the manifest." in lines
    assert last_sentence(lines).startswith("0 of 1 goodput figures and 0 of 3 response times changed")
    assert "largest" not in last_sentence(lines)


def test_a_measured_noise_floor_is_said(good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, good, write(tmp_path / "b", summary(arm(step()), noise_floor=0.034)))
    assert "No difference: at most 3.4 %, the floor (measured by a noise run)." in " ".join(lines)


def test_manifest_failures_and_lone_steps_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = write(tmp_path / "a", summary(arm(step(), step(1)), manifest={"knobs": {"latency": 1.0}}))
    broken = step(failures=3, failure_reasons={"timed out": 3})
    b = write(tmp_path / "b", summary(arm(broken), manifest={"knobs": {"latency": 0.2}, "note": "long " * 40}))
    lines = said(capsys, a, b)
    assert "  knobs.latency: 1.0 → 0.2" in lines
    assert "  ASGI gather at 100 users: 0 of 900 → 3 of 903 (timed out: 3)" in lines
    assert "Only A has: ASGI gather at 1 user." in lines


@pytest.mark.parametrize("commit", [None, "abc-dirty"])
def test_a_commit_that_does_not_name_the_code_is_said(
    commit: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (write(tmp_path / name, summary(arm(step()), manifest={"commit": commit})) for name in "ab")
    assert any("The code may differ all the same" in line for line in said(capsys, a, b))


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"verdict": {"status": "invalid", "sentence": "No answer: too busy."}}, "B is INVALID: No answer: too busy."),
        (
            {"complete": False, "verdict": {"status": "invalid", "sentence": "Incomplete, 4 of 8 measurements: why."}},
            "B is INCOMPLETE: 4 of 8 measurements: why.",
        ),
    ],
)
def test_a_run_without_an_answer_is_said_first_and_no_figure_is_compared(
    change: dict[str, Any], first: str, good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = summary(arm(step(100, 50.0)), manifest={"commit": "def"}, **change)
    lines = said(capsys, good, write(tmp_path / "b", other), ExitCode.NOT_UP)
    assert lines[0] == first
    assert "  commit: abc → def" in lines
    assert not any("pages/s" in line for line in lines)
    assert last_sentence(lines) == f"Not compared: {first}"


def test_runs_without_a_common_step_are_not_compared(
    good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(capsys, good, write(tmp_path / "b", summary(arm(step(1)))), ExitCode.NOT_UP)
    assert lines[0] == "A and B have no arm and step in common."


def test_a_run_is_also_found_by_its_file_and_through_a_link(
    good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path / "other", summary(arm(step(100, 50.0))))
    (tmp_path / "latest").symlink_to("other")
    expected = said(capsys, good, other)
    assert said(capsys, f"{good}/summary.json", f"{other}/summary.json") == expected
    assert said(capsys, f"{good}/", str(tmp_path / "latest"))[-3:] == expected[-3:]


@pytest.mark.parametrize("same", ["good", "good/", "good/summary.json", "latest", "./good/../good"])
def test_a_run_is_not_compared_with_itself(same: str, good: str, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("good")
    for a, b in ((good, f"{tmp_path}/{same}"), (f"{tmp_path}/{same}", good)):
        with pytest.raises(BadInput, match="A and B are the same run"):
            main(a, b)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is damaged or cut off"),
        ("{", "is damaged or cut off"),
        (json.dumps(summary(arm(step())))[:-20], "is damaged or cut off"),
        ("[1]", "not a run's summary: it is not an object"),
        ("null", "it is not an object"),
        ("{}", "not a run's summary: 'verdict' is missing"),
        (json.dumps(summary(arm(step(goodput=float("nan"))))), "NaN is not a number"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_damaged_summary_is_a_sentence(text: str, why: str, good: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"^B: .*{why}"):
        main(good, write(tmp_path / "b", text))


def test_bytes_that_are_no_text_are_a_sentence(good: str, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\x80\x81")
    with pytest.raises(BadInput, match="damaged"):
        main(str(tmp_path / "binary"), good)


@pytest.mark.parametrize(
    ("a", "why"),
    [
        ("", "A is empty; name two runs: make compare A="),
        (" ", "A is empty"),
        ("missing", "A: there is no .*missing"),
        ("dangling", "A: there is no .*dangling"),
        ("empty", "A: .*empty holds no summary.json"),
        ("x" * 5000, "A: .*…"),
        ("nul\0", "A: "),
    ],
)
def test_a_run_that_is_not_there_is_a_sentence(a: str, why: str, good: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(BadInput, match=why) as error:
        main(f"{tmp_path}/{a}" if a.strip() else a, good)
    assert len(str(error.value)) < 400


def test_a_summary_that_may_not_be_read_is_a_sentence(good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated: nothing is forbidden to root, who runs the tests in a container."""

    def forbidden(path: Path, encoding: str) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_text", forbidden)
    with pytest.raises(BadInput, match=r"^A: .* cannot be read: Permission denied"):
        main(good, __file__)


def test_what_steers_a_terminal_is_not_passed_on(good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = summary(arm(step()), manifest={"commit": "\x1b[2J\nabc"})
    assert "  commit: abc → ?[2J?abc" in said(capsys, good, write(tmp_path / "b", hostile))


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (-0.243, "−24 %"),
        (0.052, "+5.2 %"),
        (-0.0001, "0.0 %"),
        (0.0997, "+10 %"),
        (12.0, "> +999 %"),
        (float("inf"), "from 0"),
        (None, "–"),
    ],
)
def test_a_change_is_a_percentage(share: float | None, text: str) -> None:
    assert percent(share) == text


def alone(root: Path, a: str, b: str) -> subprocess.Popen[str]:
    """As the launcher runs it, on the system's Python: -S leaves the virtual environment's packages out."""
    code = f"import sys, runpy; sys.path.insert(0, {str(root)!r}); runpy.run_module('loadtests', run_name='__main__')"
    words = [sys.executable, "-I", "-S", "-c", code, "compare", f"--a={a}", f"--b={b}"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_without_repeats_it_needs_the_standard_library_alone(good: str, tmp_path: Path, root: Path) -> None:
    output, errors = alone(root, good, write(tmp_path / "b", summary(arm(step(100, 50.0))))).communicate()
    assert errors == ""
    assert "goodput 94.0 → 50.0 pages/s (−47 %)" in " ".join(output.split())


def test_a_reader_that_has_seen_enough_gets_no_trace(good: str, tmp_path: Path, root: Path) -> None:
    process = alone(root, good, write(tmp_path / "b", summary(arm(step()))))
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait() == 0
