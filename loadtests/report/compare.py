"""`make compare`: what changed between two runs, as the terminal shows it."""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NoReturn

from loadtests.analysis.comparison import BEYOND, Comparison, Figure, Measured, Run, compare, figures, parse, repeated
from loadtests.errors import BadInput, ExitCode
from loadtests.model.units import UNKNOWN, digits

FILE = "summary.json"
USAGE = "name two runs: make compare A=results/… B=results/latest"


def have_repeats(a: str, b: str) -> bool:
    """Return whether any figure of both runs has repeats to be tested, which takes scipy. Raises BadInput."""
    (_, one), (_, other) = both(a, b)
    return bool(repeated(figures(one, other)))


def main(a: str, b: str) -> int:
    """Print what changed from run `a` to run `b`: each a run's folder or its summary.json. Raises BadInput."""
    runs = both(a, b)
    found = compare(*(run for _, run in runs))
    unfit = [f"{name} is {run.why_not}" for name, (_, run) in zip("AB", runs, strict=True) if run.why_not]
    if not unfit and not found.figures:
        unfit = ["A and B have no arm and step in common."]
    for line in report(found, runs, unfit):
        print(*fitted(line, columns()), sep="\n")
    return ExitCode.NOT_UP if unfit else ExitCode.CONFIRMED


def both(a: str, b: str) -> list[tuple[Path, Run]]:
    """Read both runs. Raises BadInput."""
    runs = [read(text, name) for text, name in ((a, "A"), (b, "B"))]
    if runs[0][0].resolve() == runs[1][0].resolve():
        raise BadInput(f"A and B are the same run, {brief(runs[0][0].resolve().parent)}; {USAGE}")
    return runs


def read(text: str, name: str) -> tuple[Path, Run]:
    """Return the summary.json that a person means, and what it holds. Raises BadInput."""
    if not text.strip():
        raise BadInput(f"{name} is empty; {USAGE}")
    path = Path(text)
    try:
        if path.is_dir():
            path /= FILE
            if not path.is_file():
                raise BadInput(
                    f"{name}: {brief(text)} holds no {FILE}: not a run's folder, or a run that has not ended"
                )
        elif not path.is_file():
            raise BadInput(f"{name}: there is no {brief(text)}; {USAGE}")
        return path, parse(json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse))
    except OSError as error:
        raise BadInput(f"{name}: {brief(path)} cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise BadInput(f"{name}: {brief(path)} is damaged: nested too deep") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{name}: {brief(path)} is damaged or cut off: {error}") from error
    except ValueError as error:
        raise BadInput(f"{name}: {brief(path)} is not a run's summary: {error}") from error


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def brief(text: object) -> str:
    text = str(text)
    return text if len(text) <= 120 else f"{text[:119]}…"


def report(found: Comparison, runs: Sequence[tuple[Path, Run]], unfit: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the report; `unfit`: why no figures are to be compared, empty if they are."""
    if unfit:
        yield from (*unfit, "Figures are not to be compared, and are not; what else differs:", "")
    yield from (f"{name}  {path.parent}  ({run.status})" for name, (path, run) in zip("AB", runs, strict=True))
    yield from ("", "Changed in the manifest (A → B):" if found.changes else "Nothing changed in the manifest.")
    yield from (f"  {key}: {before} → {after}" for key, before, after in found.changes)
    commits = {run.manifest.get("commit", "null") for _, run in runs}
    if len(commits) == 1 and (commits == {"null"} or commits.pop().endswith("-dirty")):
        yield "  The code may differ all the same: no commit names all that was run."
    if not unfit:
        yield from table(found)
        yield from notes(found)
    if found.failures:
        yield from ("", "Changed in the failures (A → B):")
        yield from (f"  {place}: {failed(before)} → {failed(after)}" for place, before, after in found.failures)
    for name, places in zip("AB", found.only, strict=True):
        if places:
            yield from ("", f"Only {name} has: {'; '.join(map(str, places))}.")
    yield from ("", f"Not compared: {' '.join(unfit)}" if unfit else conclusion(found))


def table(found: Comparison) -> Iterator[str]:
    """Yield a table for each arm, 80 columns wide."""
    for arm, of_arm in groupby(found.figures, key=lambda figure: figure.place.arm):
        yield from ("", arm, f"{'load':>10} {'figure':<7}{'A':>17}{'B':>17}{'change':>9}")
        for figure in of_arm:  # of each load goodput is the first
            load, heading = (figure.place.load, "pages/s") if figure.name == "goodput" else ("", f"{figure.name} s")
            a, b = map(shown, (figure.before, figure.after), figure.repeats)
            yield f"{load:>10} {heading:<7}{a:>17}{b:>17}{percent(figure.change):>9}  {figure.verdict}"


def shown(value: float | None, repeats: Sequence[float]) -> str:
    if len(repeats) < 2:
        return digits(value)
    return f"{digits(value)} ({digits(min(repeats))}–{digits(max(repeats))})"


def percent(share: float | None) -> str:
    if share is None:
        return UNKNOWN
    if math.isinf(share):
        return "from 0"
    if share >= 10:
        return "> +999 %"
    text = f"{share * 100:+.{0 if abs(share) >= 0.0995 else 1}f} %"
    return "0.0 %" if text in {"+0.0 %", "-0.0 %"} else text.replace("-", "−")


def notes(found: Comparison) -> Iterator[str]:
    measured = "measured by a noise run" if found.floor_measured else "the default; EXPERIMENT=noise measures yours"
    yield ""
    yield (
        f"No difference: at most {found.floor * 100:.3g} %, the floor ({measured}). "
        "In brackets: the lowest and highest of the repeats. Beyond the noise: Welch's t-test, p of 0.05 at the most, "
        "corrected for the number of figures."
    )
    if not have_spread(found.goodputs):
        yield "One repeat cannot tell noise from change, and A or B has only one: run both with REPEATS=3."


def have_spread(figures: Sequence[Figure]) -> bool:
    return all(figure.p is not None for figure in figures)


def failed(step: Measured) -> str:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in step.reasons.items())
    return f"{step.failed} of {step.answers}" + (f" ({reasons})" if reasons else "")


def conclusion(found: Comparison) -> str:
    """Return the conclusion in one sentence."""
    above = f"by more than the floor of {found.floor * 100:.3g} %"
    goodputs, times = (
        f"{sum(figure.changed for figure in group)} of {len(group)}" for group in (found.goodputs, found.response_times)
    )
    spread = have_spread(found.goodputs)
    if spread and not have_spread(found.response_times):
        said = f"{goodputs} goodput figures changed {BEYOND}, {times} response times {above}"
    else:
        said = f"{goodputs} goodput figures and {times} response times changed {BEYOND if spread else above}"
    if largest := found.largest:
        said += (
            f"; the largest: {largest.place}, {largest.name} {digits(largest.before)} → {digits(largest.after)} "
            f"{'pages/s' if largest.name == 'goodput' else 's'} ({percent(largest.change)})"
        )
    if any(figure.changed and figure.p is None for figure in found.goodputs):
        said += "; one repeat cannot tell this from noise"
    return f"{said}."


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
    return min(80, shutil.get_terminal_size().columns or 80)
