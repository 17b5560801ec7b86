"""The folders that runs leave behind: in results/, or where RESULTS says."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests import ROOT
from loadtests.errors import BadInput

FOLDER = Path(os.environ.get("RESULTS") or ROOT / "results").absolute()


def refuse_colon() -> None:
    """Raise BadInput where the checkout or the results lie in a path with a colon."""
    for what, folder in (("the checkout", ROOT), ("RESULTS", FOLDER)):
        if ":" in str(folder):
            raise BadInput(
                f"{what} must have a path without a colon, which separates paths in PATH and in Docker's volumes; it "
                f"is {str(folder)[:200]}. Move the checkout, or set RESULTS to another folder."
            )


def new_folder(experiment: str, parent: Path | None = None) -> Path:
    """Make <UTC time>-<experiment>/, in results/ or in `parent`. Raises BadInput."""
    parent = parent or FOLDER
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    with written_to(parent):
        parent.mkdir(parents=True, exist_ok=True)
        for name in (f"{stamp}-{experiment}", *(f"{stamp}-{experiment}-{n}" for n in range(2, 100))):
            with suppress(FileExistsError):
                (parent / name).mkdir()
                return parent / name
    raise BadInput(f"no free name for a run in {parent}")


def web_ui_logs() -> Path:
    """Return the folder of `make up`, the same each time. Raises BadInput."""
    with written_to(FOLDER):
        (FOLDER / "web-ui-logs").mkdir(parents=True, exist_ok=True)
    return FOLDER / "web-ui-logs"


@contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Raise BadInput if the folder cannot be written to."""
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"{str(folder)[:200]} cannot be written to: {error.strerror}. "
            "Let it be a folder that you may write to, or name another (RESULTS=…)."
        ) from error


def summaries(experiment: str = "") -> list[Path]:
    """Return summary.json of every run, or of those of one experiment; the latest first."""
    return sorted(FOLDER.glob(f"2*-{experiment}*/summary.json"), reverse=True)


def summary(path: Path) -> Any:
    """Return the content of a summary.json, which may have any shape; None where it is no JSON or cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def finish(folder: Path) -> Path | None:
    """Say where the report is; `results/latest` leads to it. None where there is none."""
    report = folder / "report.html"
    if not report.exists():
        drop_if_empty(folder)
        return None
    point_latest_to(folder)
    print(f"\nReport: {os.path.relpath(report)}", flush=True)
    return folder


def remains(folder: Path) -> str:
    """Return a sentence that names the raw data in a run's folder; empty where there is none."""
    raw = folder / "raw"
    return f" What was measured is in {os.path.relpath(raw)}." if raw.is_dir() and any(raw.iterdir()) else ""


def point_latest_to(folder: Path) -> None:
    """Let results/latest lead to the run; say so where it cannot, as on a file system without symbolic links."""
    unfinished = FOLDER / f".latest-{os.getpid()}"
    try:
        unfinished.symlink_to(folder.name)
        unfinished.replace(FOLDER / "latest")
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        print(f"\n{FOLDER / 'latest'} does not lead to this run: {error.strerror}.", file=sys.stderr, flush=True)


def drop_if_empty(folder: Path) -> None:
    """Remove the folder of a run that never began to measure; leave it where that is not possible."""
    if any((folder / name).exists() for name in ("raw", "summary.json")):
        return
    with suppress(OSError):  # removed by somebody else, or no longer to be written to
        shutil.rmtree(folder)
