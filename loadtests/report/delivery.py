"""Hands over what a run found: summary.json first, then the terminal, then report.html. None costs another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from loadtests.errors import LabError
from loadtests.model.summary import Summary
from loadtests.report import html, terminal
from loadtests.results import summary


def deliver(result: Summary, folder: Path, console: Console) -> None:
    """Write the summary, show the verdict, write the report. Raises LabError, with a sentence for each that failed."""
    failures = [
        failure
        for what, work in (
            ("summary.json could not be written", lambda: summary.write(result, folder)),
            ("the verdict could not be shown", lambda: terminal.show(result, console)),
            ("report.html could not be made", lambda: html.write(result, folder)),
        )
        if (failure := failed(what, work))
    ]
    if failures:
        raise LabError(f"{'; '.join(failures)}. What was measured is in the run's folder, under raw/.")


def failed(what: str, work: Callable[[], object]) -> str | None:
    """Return why the work failed, or None."""
    try:
        work()
    except Exception as error:  # noqa: BLE001  # whatever it is, the rest is still to be handed over
        return f"{what}: {reason(error)}"
    return None


def reason(error: Exception) -> str:
    """Return an error as a part of a sentence."""
    if isinstance(error, LabError):
        return str(error).removesuffix(".")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
