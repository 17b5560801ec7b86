"""Asks a service that is no target, one query after the other: for questions that no page answers."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from loadtests import manifest, targets
from loadtests.errors import ExitCode, LabDown
from loadtests.experiments import Experiment, Probe
from loadtests.knobs import Settings
from loadtests.report import html, summary, terminal

LONGEST = 240.0  # seconds until an answer has to be there


def run(  # noqa: PLR0913  # all that a report needs
    experiment: Experiment,
    probe: Probe,
    options: Namespace,
    settings: Settings,
    url: str,
    *,
    console: Console,
    pause: Callable[[float], None],
) -> ExitCode:
    """Ask, judge, write the report; `pause` raises Interrupted. Raises LabDown."""
    folder = Path(options.folder)
    known = manifest.complete(folder, options, settings, {})
    answers: dict[str, Mapping[str, Any]] = {}
    console.print(f"{experiment.name}: {', '.join(probe.queries)}; about {probe.seconds[bool(options.quick)]:.0f} s")
    for name, query in probe.queries.items():
        console.print(f"{len(answers) + 1}/{len(probe.queries)} {name}")
        pause(0.0)
        answers[name] = ask(url, query)
        keep(folder, name, answers[name])
    result = summary.summarize_probe(experiment, probe, answers, known)
    summary.write(result, folder)
    terminal.show(result, console)
    html.write(result, folder)
    return summary.verdict_of(result).exit_code


def ask(url: str, query: str) -> Mapping[str, Any]:
    """Raises LabDown."""
    try:
        answer: Mapping[str, Any] = json.loads(targets.fetch(f"{url}{query}", LONGEST))
    except (OSError, ValueError) as error:
        raise LabDown(f"{url}{query} gave no answer: {error!r}") from error
    return answer


def keep(folder: Path, name: str, answer: Mapping[str, Any]) -> None:
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    (raw / f"{name}.json").write_text(json.dumps(answer, indent=2) + "\n")
