"""docs/experiments.md, as the experiments' own docstrings tell it, and docs/lessons/. Standard library alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from loadtests import ROOT
from loadtests.errors import BadInput
from loadtests.model.experiment import Experiment

INTRODUCTION = """\
# The experiments

One question each. `make experiments` lists them with their length, `make loadtest EXPERIMENT=<name>` runs one, and
`make claims` runs all of them and writes [claims.md](claims.md). `make docs` makes this file from the docstrings in
`loadtests/experiments/`.
"""


def document(experiments: Iterable[Experiment]) -> str:
    return "\n".join((INTRODUCTION, *(line for one in experiments for line in section(one))))


def section(experiment: Experiment) -> Iterator[str]:
    _, _, rest = experiment.lesson.partition("\n")
    yield f"## {experiment.name}"
    yield ""
    yield f"**{experiment.question}**"
    yield rest
    yield ""
    yield f"Arms: {', '.join(arm.words.replace('_', ' ') for arm in experiment.arms)}."
    yield f"Steps: {', '.join(level.name for level in experiment.levels)}."
    if experiment.knobs:
        yield f"Knobs: {', '.join(f'{name} {value:g}' for name, value in experiment.knobs.items())}."
    yield ""
    for claim in experiment.claims:
        yield f"- Claim: {claim.text} ({f'[{claim.source}]({claim.url})' if claim.url else claim.source})"
    yield ""


# --- lessons for a class ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lesson:
    """`before` and `after`: what a class is asked before the experiment and when it has seen it."""

    title: str
    experiment: str
    before: str
    after: str


def lesson(number: str) -> Lesson:
    """Return a lesson of docs/lessons/. Raises BadInput."""
    files = {path.name.partition("-")[0]: path for path in sorted((ROOT / "docs" / "lessons").glob("[1-9]-*.md"))}
    if number not in files:
        raise BadInput(f"N must be the number of a lesson, from 1 to {len(files)}; it is {number[:80]!r}")
    text = files[number].read_text(encoding="utf-8")
    parts = dict(re.findall(r"^## (.+)\n\n((?:.+\n)+)", text, flags=re.MULTILINE))
    title, experiment = re.findall(r"^# (.+)$|Experiment: `(.+)`", text, flags=re.MULTILINE)[:2]
    return Lesson(title[0], experiment[1], parts["Before"].strip(), parts["After"].strip())
