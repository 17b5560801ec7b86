"""docs/claims.md: what was claimed, what was measured here, and whether it holds. With the standard library alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.errors import BadInput
from loadtests.experiments import catalogue
from loadtests.model.experiment import Claim, Experiment
from loadtests.model.summary import Summary
from loadtests.results import files, folders


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
        return "not measured"
    if found.summary["verdict"]["status"] == "confirmed":
        return f"**{claim.confirmed}**"
    return f"**{claim.otherwise}**"


def measured(found: Result) -> str:
    """Return the headline of what was measured, with its figures folded behind it."""
    if found.summary is None:
        return "The run did not end."
    headline, _, figures = str(found.summary["verdict"]["sentence"]).partition(": ")
    return f"{escaped(headline)}<details><summary>figures</summary>{escaped(figures)}</details>"


def document(found: Sequence[Result], command: str) -> str:
    """Return the whole file, in Markdown."""
    return "\n".join((*introduction(found, command), *table(found), *manifest(found), ""))


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
    new = {result.experiment.name: result for result in found}
    others = {name: Result(experiment, runs[name]) for name, experiment in catalogue().items() if name in runs}
    return [result for _, result in sorted({**others, **new}.items())], str(earlier.get("command", command))


def kept(found: Sequence[Result], command: str) -> str:
    """Return the summaries behind the document as JSON, shortened by `slim`."""
    runs = {one.experiment.name: one.summary and slim(one.summary) for one in found}
    return json.dumps({"command": command, "runs": runs}, indent=1, ensure_ascii=False) + "\n"


def slim(summary: Summary) -> dict[str, Any]:
    """Return a summary without its checks and without the configuration of its services."""
    manifest = {name: value for name, value in summary["manifest"].items() if name != "services"}
    left_out = {"checks", "plots", "question", "noise_floor", "manifest"}
    return {**{name: value for name, value in summary.items() if name not in left_out}, "manifest": manifest}


def introduction(results: Sequence[Result], command: str) -> Iterator[str]:
    yield "# What was claimed, and what was measured here"
    yield ""
    yield (
        f"Written by `{command}`. Each row is an experiment that anybody can run again: `make loadtest "
        "EXPERIMENT=<name>`; what it does and why is in [experiments.md](experiments.md), how it is measured in "
        "[method.md](method.md). A claim is given in our words; its source is linked. All figures of these runs are in "
        "[claims.json](claims.json)."
    )
    yield ""
    judged = [found for found in results if found.summary and found.summary["verdict"]["status"] != "invalid"]
    yield f"{len(judged)} of {len(results)} experiments ended with a verdict."
    yield ""


def table(results: Sequence[Result]) -> Iterator[str]:
    yield "| here | claim | measured | experiment | source |"
    yield "|---|---|---|---|---|"
    for found in results:
        for number, claim in enumerate(found.experiment.claims):
            said = "the same run" if number else measured(found)
            source = f"[{escaped(claim.source)}]({claim.url})" if claim.url else escaped(claim.source)
            name = f"`{found.experiment.name}`"
            yield f"| {status(claim, found)} | {escaped(claim.text)} | {said} | {name} | {source} |"
    yield ""


def manifest(results: Sequence[Result]) -> Iterator[str]:
    """Yield the manifest of the first run; the others differ in what they asked for."""
    first = next((found.summary for found in results if found.summary), None)
    if first is None:
        return
    known = first["manifest"]
    machine, targets = known.get("machine", {}), known.get("targets", {})
    packages = {name: version for target in targets.values() for name, version in target.get("packages", {}).items()}
    yield "## Measured with"
    yield ""
    yield "| | |"
    yield "|---|---|"
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
    for name, value in rows.items():
        yield f"| {name} | {escaped(str(value))} |"
    for warning in known.get("warnings", ()):
        yield f"| note | {escaped(warning)} |"
    yield ""
    yield "## Each run"
    yield ""
    yield "| experiment | measured | commit | command | verdict |"
    yield "|---|---|---|---|---|"
    for found in results:
        if found.summary:
            run = found.summary["manifest"]
            day, commit, repeat = (escaped(str(run.get(name, ""))) for name in ("started", "commit", "command"))
            status = found.summary["verdict"]["status"]
            yield f"| `{found.experiment.name}` | {day[:10]} | {commit} | `{repeat}` | {status} |"


def escaped(text: str) -> str:
    """Return the text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
