"""Asks a service that is no target, one query after the other: for questions that no page answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from loadtests.errors import ExitCode, Interrupted, LabDown
from loadtests.generator import targets
from loadtests.model.experiment import Experiment, Probe
from loadtests.report.delivery import deliver
from loadtests.results import files, summary

LONGEST = 240.0  # seconds until an answer has to be there
Answer = Mapping[str, Any]


def run(  # noqa: PLR0913  # all that a report needs
    experiment: Experiment,
    probe: Probe,
    described: Mapping[str, Any],
    folder: Path,
    url: str,
    *,
    console: Console,
    unless_stopped: Callable[[Callable[[], Answer]], Answer],
) -> ExitCode:
    """Ask, judge, write the report: also of a part, when `unless_stopped` raises Interrupted. Raises LabDown."""
    answers: dict[str, Answer] = {}
    because = None
    console.print(
        f"{experiment.name}: {', '.join(probe.queries)}; about {probe.seconds[described['knobs']['quick']]:.0f} s"
    )
    try:
        for name, query in probe.queries.items():
            console.print(f"{len(answers) + 1}/{len(probe.queries)} {name}")
            answers[name] = unless_stopped(partial(ask, url, query))
            keep(folder, name, answers[name])
    except Interrupted:
        because = "it was interrupted."
    result = summary.summarize_probe(experiment, probe, answers, described, stopped_because=because)
    deliver(result, folder, console)
    if because:
        return ExitCode.INTERRUPTED
    return summary.verdict_of(result).exit_code


def ask(url: str, query: str) -> Answer:
    """Raises LabDown."""
    try:
        answer: Answer = json.loads(targets.fetch(f"{url}{query}", LONGEST))
    except (OSError, ValueError) as error:
        raise LabDown(f"{url}{query} gave no answer: {error!r}") from error
    return answer


def keep(folder: Path, name: str, answer: Answer) -> None:
    files.write(folder / "raw" / f"{name}.json", json.dumps(answer, indent=2) + "\n")
