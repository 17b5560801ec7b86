"""What a benchmark leaves: goals met or not met, a table, figures for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtests.errors import ExitCode

VERDICTS = {ExitCode.CONFIRMED: "met", ExitCode.NOT_CONFIRMED: "not met", ExitCode.INVALID: "not valid"}


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked, the goal and what was measured (in words), the figures behind them, and whether it is enough."""

    name: str
    wanted: str
    measured: str
    met: bool
    figures: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def at_most(cls, name: str, limit: float, ratio: tuple[float, float, float]) -> Goal:
        value, low, high = ratio
        figures = {"ratio": value, "lowest": low, "highest": high, "limit": limit}
        return cls(name, f"≤ {limit:.2f}", f"{value:.2f} ({low:.2f}–{high:.2f})", value <= limit, figures)


@dataclass(frozen=True, slots=True)
class Result:
    """Of one benchmark. `invalid`: why its figures say nothing."""

    title: str
    goals: Sequence[Goal]
    table: Table | None
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
        if self.table:
            console.print(self.table)
        for note in self.notes:
            console.print(note)
        verdict = table("goal", "limit", "measured", "")
        for goal in self.goals:
            verdict.add_row(goal.name, goal.wanted, goal.measured, "met" if goal.met else "not met")
        console.print()
        console.print(verdict)
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


def table(first: str, *headings: str) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim")
    grid.add_column(first)
    for heading in headings:
        grid.add_column(heading)
    return grid


def figures_table(first: str, *headings: str) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim")
    grid.add_column(first)
    for heading in headings:
        grid.add_column(heading, justify="right", no_wrap=True)
    return grid
