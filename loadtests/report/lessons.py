"""docs/experiments.md: the lessons, as the experiments' own docstrings tell them. With the standard library alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
