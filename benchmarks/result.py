"""What a benchmark leaves: goals met or not met, a table, figures for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from loadtests.errors import ExitCode

VERDICTS = {ExitCode.CONFIRMED: "met", ExitCode.NOT_CONFIRMED: "not met", ExitCode.INVALID: "not valid"}


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked, the goal and what was measured (in words), whether it is enough, and the figures behind it."""

    name: str
    wanted: str
    measured: str
    met: bool
    figures: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def at_most(cls, name: str, limit: float, of: list[float], to: list[float]) -> Goal:
        """Compare medians; with the smallest and the largest ratio of a single round."""
        single = [one / other for one, other in zip(of, to, strict=True)]
        value, low, high = median(of) / median(to), min(single), max(single)
        figures = {"ratio": value, "lowest": low, "highest": high, "limit": limit}
        return cls(name, f"≤ {limit:.2f}", f"{value:.2f} ({low:.2f}–{high:.2f})", value <= limit, figures)


@dataclass(frozen=True, slots=True)
class Result:
    """Of one benchmark. `invalid`: why its figures say nothing."""

    title: str
    goals: Sequence[Goal]
    table: Table
    notes: Sequence[str]
    figures: Mapping[str, Any]
    invalid: str | None = None

    @property
    def code(self) -> ExitCode:
        if self.invalid:
            return ExitCode.INVALID
        return ExitCode.CONFIRMED if all(goal.met for goal in self.goals) else ExitCode.NOT_CONFIRMED

    def show(self, console: Console) -> None:
        """Print the result within 80 columns."""
        verdict = table("goal", "limit", "measured", "")
        for goal in self.goals:
            verdict.add_row(goal.name, goal.wanted, goal.measured, "met" if goal.met else "not met")
        for part in (self.table, *self.notes, "", verdict):
            console.print(part)
        console.print(f"[bold]{VERDICTS[self.code].upper()}[/bold]" + (f": {self.invalid}" if self.invalid else ""))

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "verdict": VERDICTS[self.code],
            "invalid": self.invalid,
            "goals": [
                {"goal": goal.name, "limit": goal.wanted, "measured": goal.measured, "met": goal.met, **goal.figures}
                for goal in self.goals
            ],
            "notes": list(self.notes),
            **self.figures,
        }


def table(*columns: str | Column) -> Table:
    return Table(*columns, box=None, pad_edge=False, header_style="dim")


def figures_table(first: str, *headings: str) -> Table:
    return table(first, *(Column(heading, justify="right", no_wrap=True) for heading in headings))


def median_and_spread(values: Sequence[float], digits: int) -> tuple[str, str]:
    """Return two cells: the median, and the smallest and the largest value."""
    middle, low, high = (f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
    return middle, f"{low}–{high}"
