"""The folders that runs leave behind: in results/, or where RESULTS says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from loadtests.errors import BadInput
from loadtests.runtime import ROOT

FOLDER = Path(os.environ.get("RESULTS") or ROOT / "results").absolute()


def new_folder(experiment: str, parent: Path | None = None) -> Path:
    """<UTC time>-<experiment>/, in results/ unless it says where. Raises BadInput."""
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
    """The folder of `make up`, the same each time. Raises BadInput."""
    with written_to(FOLDER):
        (FOLDER / "web-ui-logs").mkdir(parents=True, exist_ok=True)
    return FOLDER / "web-ui-logs"


@contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Raises BadInput where it cannot be."""
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"{folder} cannot be written to: {error.strerror}. "
            "Let it be a folder that you may write to, or name another (RESULTS=…)."
        ) from error


def summaries(experiment: str = "") -> list[Path]:
    """summary.json of every run, or of those of one experiment; the latest first."""
    return sorted(FOLDER.glob(f"2*-{experiment}*/summary.json"), reverse=True)


def finish(folder: Path) -> Path | None:
    """Say where the report is; `results/latest` leads to it. None where there is none."""
    report = folder / "report.html"
    if not report.exists():
        if folder.exists():
            drop_if_empty(folder)
        return None
    latest = FOLDER / "latest"
    unfinished = FOLDER / f".latest-{os.getpid()}"
    unfinished.symlink_to(folder.name)
    unfinished.replace(latest)
    print(f"\nReport: {os.path.relpath(report)}", flush=True)
    return folder


def drop_if_empty(folder: Path) -> None:
    """A run that never began to measure leaves nothing behind."""
    if any((folder / name).exists() for name in ("raw", "summary.json")):
        return
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
