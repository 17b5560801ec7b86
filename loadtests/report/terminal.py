"""The table and the verdict, as the terminal shows them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleDimensions, ConsoleOptions
from rich.table import Table as Grid
from rich.text import Text

from loadtests.model.experiment import arm_words, spoken
from loadtests.model.summary import ArmSummary, StepSummary, Summary, VerdictSummary
from loadtests.model.units import UNKNOWN, digits, duration

UNWRAPPED = 100_000  # columns: a file or a pipe has no edge
COLOURS = {"WSGI": "dodger_blue2", "ASGI": "dark_orange3"}  # as in the plots, on a dark and on a light terminal
FAR_BELOW = 0.8  # of what was predicted


def console_for_people() -> Console:
    """Return a console as wide as the terminal; nothing is wrapped where the output ends elsewhere.

    A terminal that does not know its width says 0: then it has 80 columns.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    columns, lines = shutil.get_terminal_size()
    console.size = ConsoleDimensions(columns if console.is_terminal else UNWRAPPED, lines)
    return console


class Column(NamedTuple):
    """`optional`: its turn to be left out where the terminal is too narrow, the lowest first; 0: never."""

    heading: str
    right: bool = False
    optional: int = 0


class Table:
    """Rows of text in columns. A narrow terminal loses columns in their order, and never a digit.

    The first column is the only one whose text may be broken, between words. Where not even the columns that are never
    left out fit side by side, each row is a sentence.
    """

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[Text | str]]) -> None:
        self._columns = columns
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Grid | Text]:
        kept, left_out = self._fitting(options.max_width)
        if self._width(kept) > options.max_width:
            yield from self._sentences(kept)
        else:
            yield self._grid(kept)
        if left_out:
            names = ", ".join(self._columns[index].heading for index in left_out)
            yield Text(f"Left out, for want of width: {names}.", style="dim")

    def _fitting(self, width: int) -> tuple[list[int], list[int]]:
        """Return the columns that are kept, in their order, and those that are left out, in the order of leaving."""
        kept = list(range(len(self._columns)))
        left_out = []
        for index in sorted((i for i in kept if self._columns[i].optional), key=lambda i: self._columns[i].optional):
            if self._width(kept) <= width:
                break
            kept.remove(index)
            left_out.append(index)
        return kept, left_out

    def _width(self, kept: Sequence[int]) -> int:
        """Return the least width of these columns, with a blank between two of them."""
        first = max(len(word) for cell in self._cells(0) for word in str(cell).split() or [""])
        return first + sum(1 + max(map(len, self._cells(index))) for index in kept if index)

    def _cells(self, index: int) -> list[Text | str]:
        return [self._columns[index].heading, *(row[index] for row in self._rows)]

    def _grid(self, kept: Sequence[int]) -> Grid:
        grid = Grid(box=None, pad_edge=False, collapse_padding=True, header_style="dim")
        for index in kept:
            column = self._columns[index]
            grid.add_column(column.heading, justify="right" if column.right else "left", no_wrap=bool(index))
        for row in self._rows:
            grid.add_row(*(Text.assemble(row[index]) for index in kept))
        return grid

    def _sentences(self, kept: Sequence[int]) -> Iterator[Text]:
        for row in self._rows:
            figures = ", ".join(f"{self._columns[index].heading} {row[index]}" for index in kept if index)
            yield Text(f"{row[0]}: {figures}")


def named(words: str, interface: str) -> Text:
    """Return an arm's name in the colour of its interface."""
    return Text(words, COLOURS.get(interface, ""))


def goodput(text: str, measured: float, predicted: float | None) -> Text:
    """Return what was measured, red where it is far below what was predicted."""
    return Text(text, "bold red" if predicted and measured < FAR_BELOW * predicted else "")


STYLES = {"confirmed": "bold green", "not confirmed": "bold yellow", "invalid": "bold red"}
COLUMNS = (
    Column("arm"),
    Column("load", right=True),
    Column("pages/s", right=True),
    Column("ratio", right=True, optional=6),
    Column("predicted", right=True, optional=4),
    Column("p50", right=True, optional=2),
    Column("p95", right=True),
    Column("p99", right=True, optional=1),
    Column("failed", right=True, optional=5),
)


PAGE_TIMES = ("p50", "p95", "p99")
PAGE_COLUMNS = (
    Column("page at the highest load"),
    Column("arm"),
    Column("pages", right=True),
    *(Column(name, right=True) for name in PAGE_TIMES),
)


def table(summary: Summary) -> Table:
    """Return the table of a run, which fits into 80 columns, without the optional columns that nothing is known of."""
    arms = summary["arms"]
    rows = [cells(arm, step, arms[0]) for arm in arms for step in arm["steps"]]
    shown = [i for i, column in enumerate(COLUMNS) if not column.optional or any(row[i] != UNKNOWN for row in rows)]
    return Table([COLUMNS[index] for index in shown], [[row[index] for index in shown] for row in rows])


def cells(arm: ArmSummary, step: StepSummary, first: ArmSummary) -> list[Text | str]:
    """Return a row; its ratio is to the first arm at the same load."""
    predicted = step["predicted"]
    beside = next((other["goodput"] for other in first["steps"] if other["name"] == step["name"]), 0.0)
    at_most = "≤ " if predicted["failing"] is None and predicted["goodput"] is not None else ""
    return [
        named(arm_words(arm["target"], arm["strategy"], arm["label"]), arm["interface"]),
        step["name"].partition(", ")[2] or step["name"],
        goodput(plus_minus(step["goodput"], step["goodput_interval"]), step["goodput"], predicted["goodput"]),
        UNKNOWN if arm is first or not beside else f"{digits(step['goodput'] / beside)}×",
        f"{at_most}{digits(predicted['goodput'])}",
        *(duration(step["response_time"][name]) for name in ("p50", "p95", "p99")),
        str(step["failures"]),
    ]


def pages(summary: Summary) -> Table | None:
    """Return the table of the single pages at each arm's highest step; None where there is but one page."""
    rows = [
        [
            page["name"],
            spoken(arm["target"]),
            str(page["pages"]),
            *(duration(page["response_time"][name]) for name in PAGE_TIMES),
        ]
        for arm in summary["arms"]
        for page in (arm["steps"][-1].get("by_page", ()) if arm["steps"] else ())
    ]
    several = len({row[0] for row in rows}) > 1
    return Table(PAGE_COLUMNS, sorted(rows, key=lambda row: str(row[0]))) if several else None


def plus_minus(value: float, interval: Sequence[float] | None) -> str:
    """Return the value with the wider side of its 95 % interval."""
    if interval is None:
        return digits(value)
    return f"{digits(value)} ±{digits(max(value - interval[0], interval[1] - value, 0.0))}"


def figures(verdict: VerdictSummary) -> str:
    """Return what the sentence says after its headline."""
    headline, sentence = verdict["headline"], verdict["sentence"]
    # A headline that adds "but less than predicted" is not how the sentence begins.
    rest = sentence.removeprefix(headline) if sentence.startswith(headline) else sentence.partition(": ")[2] or sentence
    rest = rest.lstrip(",: ")
    return rest[:1].upper() + rest[1:]


def key_figures(verdict: VerdictSummary) -> list[str]:
    """Return the figures that decide, three at most, or else what the sentence says after its headline."""
    return [f"  {figure}" for figure in verdict["key"]] or [figures(verdict)]


def show(summary: Summary, console: Console) -> None:
    console.print()
    console.print(table(summary))
    console.print()
    if by_page := pages(summary):
        console.print(by_page)
        console.print()
    status, headline = summary["verdict"]["status"], summary["verdict"]["headline"]
    console.print(Text.assemble((f"{status.upper()}  ", STYLES[status]), (headline, "bold")))
    for line in key_figures(summary["verdict"]):
        console.print(Text(line))
    for sentence in (*summary["recommendations"], *summary["findings"]):
        console.print(Text(f"· {sentence}"))
    for warning in summary["manifest"].get("warnings", ()):
        console.print(Text(f"Note: {warning}", style="dim"))
