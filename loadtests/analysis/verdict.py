"""The sentence a run ends with, and the checks that have to hold for it to be worth one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.errors import ExitCode
from loadtests.model.experiment import CannotJudge, Experiment, Point
from loadtests.model.load_level import amounts

WHY = {  # no answer, by the check that failed
    "failed pages": "pages failed",
    "pages under way": "pages had not ended",
    "pages": "users and server count different pages",
    "calls": "pages are answered without their calls",
    "physical minimum": "pages are faster than their calls can be",
    "users": "pages are missing from the count",
    "machine": "something else used the machine",
    "generator CPU": "the load generator was saturated",
    "api response time": "the api itself was late",
    "arrivals": "the load generator was late",
    "sample": "too few pages were measured",
    "step length": "the window was too short",
    "steadiness": "response times had not settled",
    "interruption": "the server stood still for a while",
    "CPU throttling": "a CPU limit held back the instrument",
    "memory": "a service was about to run out of memory",
    "clock": "the machine's clock jumped",
    "load generators": "a load generator did not do its share",
    "windows": "the load generators did not measure at the same time",
    "one target at a time": "targets were loaded at once",
}


@dataclass(frozen=True, slots=True)
class Check:
    """`measurement` is its name, `where` says it in words; `value` and `limit` are sentences' parts with their unit."""

    name: str
    measurement: str
    passed: bool
    value: str
    limit: str
    remedy: str
    where: str

    @property
    def sentence(self) -> str:
        return f"{self.where}: {self.value} (check of {self.name}: {self.limit}). {self.remedy}"

    @property
    def headline(self) -> str:
        """Return in a few words why there is no answer."""
        return f"No answer: {WHY.get(self.name, self.value)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`status` is 'confirmed', 'not confirmed' or 'invalid'. `headline`: the answer, in 15 words at the most."""

    status: str
    headline: str
    sentence: str
    noise_floor: float | None = None
    key: Sequence[str] = ()

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode[self.status.upper().replace(" ", "_")]


def verdict(
    experiment: Experiment,
    points: Sequence[Point],
    checks: Sequence[Check],
    *,
    incomplete: str | None = None,
    missed: Sequence[str] = (),
) -> Verdict:
    """Return the verdict. Invalid comes first: missing or invalid figures allow no conclusion.

    `missed`: the findings that speak of less than what was predicted; nothing is confirmed without them.
    """
    if incomplete:
        return Verdict("invalid", "Incomplete", f"Incomplete, {incomplete}")
    if failed := [check for check in checks if not check.passed]:
        others = ", ".join(dict.fromkeys(check.name for check in failed if check.name != failed[0].name))
        more = f" (Failed as well: {others}.)" if others else ""
        return Verdict("invalid", failed[0].headline, f"{failed[0].headline}: {failed[0].sentence}{more}")
    try:
        judgement = experiment.judge(points)
    except CannotJudge as error:
        return Verdict("invalid", "No answer", f"No answer: {error}.")
    except (ArithmeticError, LookupError, ValueError):  # steps or arms that the question needs are not among the points
        own = amounts(experiment.levels)
        why = f"{experiment.name} cannot be judged by these steps; it ran at {own}."
        return Verdict("invalid", "No answer", f"No answer: {why}")
    status = "confirmed" if judgement.confirmed else "not confirmed"
    headline, sentence = judgement.sentence.partition(": ")[0], judgement.sentence
    if judgement.confirmed and missed:
        more = f" (And {len(missed) - 1} more of the findings.)" if len(missed) > 1 else ""
        headline, sentence = f"{headline}, but less than predicted", f"{sentence} But {missed[0]}{more}"
    return Verdict(status, headline, sentence, judgement.noise_floor, judgement.key)
