"""`make compare`: what changed between two runs, as the terminal shows it."""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NoReturn

from loadtests.analysis.comparison import (
    Change,
    Comparison,
    Failures,
    Figure,
    Place,
    Run,
    compare,
    parse,
)
from loadtests.errors import BadInput, ExitCode
from loadtests.model.units import digits

WIDTH = 80  # columns
FILE = "summary.json"
USAGE = "name two runs: make compare A=results/… B=results/latest"


def have_repeats(a: str, b: str) -> bool:
    """Return whether any figure of both runs has repeats to be tested, which takes scipy. Raises BadInput."""
    return all(
        any(len(repeats) > 1 for step in run.steps.values() for repeats in step.repeats.values())
        for run in both(a, b)[1].values()
    )


def both(a: str, b: str) -> tuple[dict[str, Path], dict[str, Run]]:
    """Read both runs. Raises BadInput."""
    paths = {"A": find(a, "A"), "B": find(b, "B")}
    if paths["A"].resolve() == paths["B"].resolve():
        raise BadInput(f"A and B are the same run, {brief(str(paths['A'].resolve().parent))}; {USAGE}")
    return paths, {name: read(path, name) for name, path in paths.items()}


def main(a: str, b: str) -> int:
    """Print what changed from run `a` to run `b`: each a run's folder or its summary.json. Raises BadInput."""
    paths, runs = both(a, b)
    found = compare(runs["A"], runs["B"])
    unfit = [f"{name} is {run.why_not}" for name, run in runs.items() if run.why_not]
    if not unfit and not found.figures:
        unfit = ["A and B have no arm and step in common."]
    for text in report(found, paths, runs, unfit):
        print(*fitted(text, columns()), sep="\n")
    return ExitCode.NOT_UP if unfit else ExitCode.CONFIRMED


def report(
    found: Comparison, paths: Mapping[str, Path], runs: Mapping[str, Run], unfit: Sequence[str]
) -> Iterator[str]:
    """Yield the lines of the report; `unfit`: why no figures are to be compared, empty if they are."""
    yield from unfit
    if unfit:
        yield "Figures are not to be compared, and are not; what else differs:"
        yield ""
    yield from (f"{name}  {paths[name].parent}  ({run.status})" for name, run in runs.items())
    yield from manifest(found.changes, runs["A"])
    if not unfit:
        yield from table(found)
        yield from notes(found)
    yield from failures(found.failures)
    yield from only(found.only)
    yield ""
    yield f"Not compared: {' '.join(unfit)}" if unfit else conclusion(found)


def find(text: str, name: str) -> Path:
    """Return the summary.json that a person means. Raises BadInput."""
    if not text.strip():
        raise BadInput(f"{name} is empty; {USAGE}")
    path = Path(text)
    try:
        if path.is_file():
            return path
        if not path.is_dir():
            raise BadInput(f"{name}: there is no {brief(text)}; {USAGE}")
        if not (path / FILE).is_file():
            raise BadInput(f"{name}: {brief(text)} holds no {FILE}: not a run's folder, or a run that has not ended")
    except OSError as error:
        raise BadInput(f"{name}: {brief(text)} cannot be read: {error.strerror}") from error
    return path / FILE


def read(path: Path, name: str) -> Run:
    """Read a run. Raises BadInput."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse))
    except OSError as error:
        raise BadInput(f"{name}: {brief(str(path))} cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise BadInput(f"{name}: {brief(str(path))} is damaged: nested too deep") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{name}: {brief(str(path))} is damaged or cut off: {error}") from error
    except ValueError as error:
        raise BadInput(f"{name}: {brief(str(path))} is not a run's summary: {error}") from error


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def manifest(changes: Sequence[Change], a: Run) -> Iterator[str]:
    yield ""
    yield "Changed in the manifest (A → B):" if changes else "Nothing changed in the manifest."
    yield from (f"  {key}: {before} → {after}" for key, before, after in changes)
    commit = a.manifest.get("commit", "null")
    if not any(change.key == "commit" for change in changes) and (commit == "null" or commit.endswith("-dirty")):
        yield "  The code may differ all the same: no commit names all that was run."


def table(found: Comparison) -> Iterator[str]:
    for arm, group in groupby(found.figures, key=lambda figure: figure.place.arm):
        yield ""
        yield arm
        yield f"{'load':>10} {'figure':<7}{'A':>17}{'B':>17}{'change':>9}"
        load = ""
        for figure in group:
            yield row(figure, "" if figure.place.load == load else figure.place.load)
            load = figure.place.load


def row(figure: Figure, load: str) -> str:
    """Return a figure's line, 80 columns wide."""
    a, b = (shown(value, repeats) for value, repeats in zip((figure.before, figure.after), figure.repeats, strict=True))
    heading = "pages/s" if figure.name == "goodput" else f"{figure.name} s"
    return f"{load:>10} {heading:<7}{a:>17}{b:>17}{percent(figure.change):>9}  {figure.verdict}"


def shown(value: float | None, repeats: Sequence[float]) -> str:
    if len(repeats) < 2:
        return digits(value)
    return f"{digits(value)} ({digits(min(repeats))}–{digits(max(repeats))})"


def percent(share: float | None) -> str:
    if share is None:
        return "–"
    if math.isinf(share):
        return "from 0"
    if share >= 10:
        return "> +999 %"
    text = f"{share * 100:+.{0 if abs(share) >= 0.0995 else 1}f} %"
    return "0.0 %" if text in {"+0.0 %", "-0.0 %"} else text.replace("-", "−")


def notes(found: Comparison) -> Iterator[str]:
    floor = f"{found.floor * 100:.3g} %"
    yield ""
    yield (
        f"No difference: at most {floor}, the floor "
        f"({'measured by a noise run' if found.floor_measured else 'the default; EXPERIMENT=noise measures yours'}). "
        "In brackets: the lowest and highest of the repeats. Beyond the noise: Welch's t-test, p of 0.05 at the most, "
        "corrected for the number of figures."
    )
    if not all(figure.has_spread for figure in found.goodputs):
        yield "One repeat cannot tell noise from change, and A or B has only one: run both with REPEATS=3."


def failures(changed: Sequence[tuple[Place, Failures, Failures]]) -> Iterator[str]:
    if changed:
        yield ""
        yield "Changed in the failures (A → B):"
    for place, before, after in changed:
        yield f"  {place}: {failed(before)} → {failed(after)}"


def failed(failures: Failures) -> str:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in failures.reasons.items())
    return f"{failures.failed} of {failures.answers}" + (f" ({reasons})" if reasons else "")


def only(places: tuple[Sequence[Place], Sequence[Place]]) -> Iterator[str]:
    for name, alone in zip("AB", places, strict=True):
        if alone:
            yield ""
            yield f"Only {name} has: {'; '.join(map(str, alone))}."


def conclusion(found: Comparison) -> str:
    """Return the conclusion in one sentence."""
    goodputs, times = found.goodputs, found.response_times
    beyond_floor = f"by more than the floor of {found.floor * 100:.3g} %"
    said = f"{changed(goodputs)} goodput figures"
    if all(figure.has_spread for figure in (*goodputs, *times)):
        said += f" and {changed(times)} response times changed beyond the noise"
    elif all(figure.has_spread for figure in goodputs):
        said += f" changed beyond the noise, {changed(times)} response times {beyond_floor}"
    else:
        said += f" and {changed(times)} response times changed {beyond_floor}"
    if largest := found.largest:
        said += f"; the largest: {described(largest)}"
    if any(figure.changed and not figure.has_spread for figure in goodputs):
        said += "; one repeat cannot tell this from noise"
    return f"{said}."


def changed(figures: Sequence[Figure]) -> str:
    return f"{sum(figure.changed for figure in figures)} of {len(figures)}"


def described(figure: Figure) -> str:
    return (
        f"{figure.place}, {figure.name} {digits(figure.before)} → {digits(figure.after)} {figure.unit} "
        f"({percent(figure.change)})"
    )


def brief(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:119]}…"


def fitted(line: str, width: int) -> list[str]:
    """Return the line in parts of at most `width` columns, broken between words.

    A summary comes from anywhere, so what steers a terminal is not passed on.
    """
    clean = "".join(letter if letter.isprintable() else "?" for letter in line)
    if len(clean) <= width:
        return [clean]
    indent = " " * min(width // 2, len(clean) - len(clean.lstrip()) + 4) if clean.startswith(" ") else ""
    whole = clean.replace(" %", "\N{NO-BREAK SPACE}%")
    return [part.replace("\N{NO-BREAK SPACE}", " ") for part in textwrap.wrap(whole, width, subsequent_indent=indent)]


def columns() -> int:
    """Return the width to print in: of the terminal, 80 at the most; a file or a pipe has no edge."""
    if not sys.stdout.isatty():
        return sys.maxsize
    return min(WIDTH, shutil.get_terminal_size().columns or WIDTH)
