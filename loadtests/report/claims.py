"""docs/claims.md: what was claimed, what was measured here, and whether it holds. With the standard library alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.errors import BadInput
from loadtests.experiments import catalogue
from loadtests.model.experiment import Claim, Experiment
from loadtests.model.summary import Summary
from loadtests.results import files, folders

INTRODUCTION = (
    "Each row is an experiment that anybody can run again: `make loadtest EXPERIMENT=<name>`; what it does and why is "
    "in [experiments.md](experiments.md), how it is measured in [method.md](method.md). A claim is given in our words; "
    "its source is linked. All figures of these runs are in [claims.json](claims.json)."
)


@dataclass(frozen=True)
class Result:
    """An experiment and the content of its summary.json, or None when it has none."""

    experiment: Experiment
    summary: Summary | None


def check_path(text: str) -> None:
    """Raise BadInput if the document cannot be written to, or the one that is there cannot be read."""
    path = Path(text)
    try:
        with suppress(FileNotFoundError):
            path.lstat()  # also whether there can be such a name
        possible = not path.is_dir() and path.parent.is_dir() and os.access(path.parent, os.W_OK)
    except (OSError, ValueError):  # a name that is too long, or no name at all
        possible = False
    if not text or not possible or path.suffix == ".json":  # which the figures behind it are written to
        raise BadInput(
            "--write-to must be a file in a folder that exists and can be written to, and not .json; "
            f"it is {text[:120]!r}"
        )


def result(experiment: Experiment, folder: Path | None) -> Result:
    return Result(experiment, folders.summary(folder / "summary.json") if folder else None)


def status(claim: Claim, found: Result) -> str:
    """Return what the run says of the claim."""
    if found.summary is None or found.summary["verdict"]["status"] == "invalid":
        cores = found.experiment.cores
        return f"takes about {cores} cores" if cores > 1 else "not measured"
    return f"**{claim.confirmed if found.summary['verdict']['status'] == 'confirmed' else claim.otherwise}**"


def measured(found: Result) -> str:
    """Return the headline of what was measured, with its figures folded behind it."""
    if found.summary is None:
        return "Left out where there are fewer." if found.experiment.cores > 1 else "The run did not end."
    headline, _, figures = str(found.summary["verdict"]["sentence"]).partition(": ")
    return f"{escaped(headline)}<details><summary>figures</summary>{escaped(figures)}</details>"


def document(found: Sequence[Result], command: str) -> str:
    """Return the whole file, in Markdown."""
    summaries = [one.summary for one in found if one.summary]
    judged = sum(summary["verdict"]["status"] != "invalid" for summary in summaries)
    parts = [
        "# What was claimed, and what was measured here",
        f"Written by `{command}`. {INTRODUCTION}",
        f"{judged} of {len(found)} experiments ended with a verdict.",
        table("| here | claim | measured | experiment | source |", claimed(found)),
    ]
    if summaries:  # the others differ from the first in what they asked for
        parts += ["## Measured with", table("| | |", manifest(summaries[0]["manifest"]))]
        parts += ["## Each run", table("| experiment | measured | commit | command | verdict |", map(run, summaries))]
    return "\n\n".join(parts) + "\n"


def write(path: Path, found: Sequence[Result], command: str) -> None:
    """Write the document and, beside it, the summaries behind it. Raises LabError."""
    for written, text in ((path, document(found, command)), (path.with_suffix(".json"), kept(found, command))):
        files.write(written, text)
        print(f"Written: {written}", flush=True)


def with_others(path: Path, found: Sequence[Result], command: str) -> tuple[list[Result], str]:
    """Return the results of a few experiments among those that the document holds of the others, and its command.

    A document that is not there, or whose figures are damaged, holds none.
    """
    earlier = folders.summary(path.with_suffix(".json"))
    runs = earlier.get("runs") if isinstance(earlier, Mapping) else None
    if not isinstance(runs, Mapping):
        return list(found), command
    new = {one.experiment.name: one for one in found if not (one.experiment.name in runs and stays(one, runs))}
    others = {name: Result(experiment, runs[name]) for name, experiment in catalogue().items() if name in runs}
    return [result for _, result in sorted({**others, **new}.items())], str(earlier.get("command", command))


def stays(new: Result, runs: Mapping[str, Any]) -> bool:
    """Return whether the earlier run of an experiment tells more than a new one, and say so."""
    earlier, found = runs[new.experiment.name], new.summary
    if not earlier or earlier["verdict"]["status"] == "invalid":
        return False
    if found is None or found["verdict"]["status"] == "invalid":
        why = "the new one is not valid"
    elif found["manifest"]["knobs"].get("quick") and not earlier["manifest"]["knobs"].get("quick"):
        why = "the new one is a quick one"
    elif found["runtime"] != earlier["runtime"]:
        why = f"that is of {earlier['runtime']}, and the new one of {found['runtime']}"
    else:
        return False
    print(f"{new.experiment.name}: the earlier result stays in the document: {why}.")
    return True


def kept(found: Sequence[Result], command: str) -> str:
    """Return the summaries behind the document as JSON, shortened by `slim`."""
    runs = {one.experiment.name: one.summary and slim(one.summary) for one in found}
    return json.dumps({"command": command, "runs": runs}, indent=1, ensure_ascii=False) + "\n"


def slim(summary: Summary) -> dict[str, Any]:
    """Return a summary without its checks and without the configuration of its services."""
    manifest = {name: value for name, value in summary["manifest"].items() if name != "services"}
    left_out = {"checks", "plots", "question", "noise_floor", "manifest"}
    return {**{name: value for name, value in summary.items() if name not in left_out}, "manifest": manifest}


def table(header: str, rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join((header, "---".join("|" * header.count("|")), *(f"| {' | '.join(cells)} |" for cells in rows)))


def claimed(results: Sequence[Result]) -> Iterator[Iterable[str]]:
    for found in results:
        for number, claim in enumerate(found.experiment.claims):
            said = "the same run" if number else measured(found)
            source = f"[{escaped(claim.source)}]({claim.url})"
            yield status(claim, found), escaped(claim.text), said, f"`{found.experiment.name}`", source


def manifest(known: Mapping[str, Any]) -> Iterator[Iterable[str]]:
    machine, targets = known.get("machine", {}), known.get("targets", {})
    packages = {name: version for target in targets.values() for name, version in target.get("packages", {}).items()}
    quick = ", QUICK=1: short steps at a short latency" if known.get("knobs", {}).get("quick") else ""
    rows = {
        "started": known.get("started"),
        "runtime": f"{known.get('runtime')}{quick}",
        "commit": known.get("commit"),
        "machine": f"{machine.get('cpu')}, {machine.get('cores')} cores, {machine.get('memory_bytes', 0) / 1e9:.0f} GB",
        "kernel": machine.get("kernel"),
        "python": next((target.get("python") for target in targets.values()), None),
        "packages": ", ".join(f"{name} {version}" for name, version in sorted(packages.items())),
    }
    yield from ((name, escaped(str(value))) for name, value in rows.items())
    yield from (("note", escaped(warning)) for warning in known.get("warnings", ()))


def run(summary: Summary) -> Iterable[str]:
    day, commit, repeat = (escaped(str(summary["manifest"].get(name, ""))) for name in ("started", "commit", "command"))
    return f"`{summary['experiment']}`", day[:10], commit, f"`{repeat}`", summary["verdict"]["status"]


def escaped(text: str) -> str:
    """Return the text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
