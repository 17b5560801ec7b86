"""The eight lessons, and the command that gives one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadtests import command_line, experiments
from loadtests.errors import BadInput
from loadtests.experiments.own_workload import OWN_WORKLOAD
from loadtests.report import lessons

NUMBERS = "12345678"


@pytest.mark.parametrize("number", NUMBERS)
def test_a_lesson_asks_before_and_after_and_measures_an_experiment(number: str) -> None:
    lesson = lessons.lesson(number)
    assert lesson.title.startswith(f"Lesson {number}: ")
    assert lesson.experiment in {*experiments.catalogue(), OWN_WORKLOAD.name}
    assert lesson.before.count("?") >= 1 or "Write down" in lesson.before
    assert lesson.after.endswith("?")


@pytest.mark.parametrize("number", NUMBERS)
def test_what_a_lesson_measures_takes_less_than_three_minutes(number: str) -> None:
    assert experiments.find(lessons.lesson(number).experiment).seconds[0] < 150  # and the start


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "docs" / "lessons").glob("*.md")), ids=str)
def test_every_link_of_a_lesson_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^):]+)\)", path.read_text()):
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize("number", ["0", "9", "", "one", "../1"])
def test_there_is_no_other_lesson(number: str) -> None:
    with pytest.raises(BadInput, match="N must be the number of a lesson, from 1 to 8"):
        lessons.lesson(number)


def test_the_last_lesson_needs_a_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["lesson", "--n=8"]) == 3
    assert "APP must be set for Lesson 8: Your own project" in capsys.readouterr().err
