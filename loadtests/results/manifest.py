"""All that a result depends on, kept with it: versions, commands, limits, machine, commit, knobs."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from loadtests.model.settings import Settings
from loadtests.model.target import Target
from loadtests.results import files

FILE = "manifest.json"
MODELS = {
    "users": "closed: a user asks for its next page when it has the last one, without think time",
    "pages/s": "open: pages arrive at equal intervals; response time counts from when a page was due",
}
GENERATOR_PACKAGES = ("locust", "gevent", "geventhttpclient", "hdrhistogram", "plotly")


def launched(root: Path, runtime: str, services: Mapping[str, Any], command: str) -> dict[str, Any]:
    """Return what the launcher knows: the machine, the code, how the services were started."""
    return {
        "runtime": runtime,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "commit": commit(root),
        "machine": machine(),
        "services": services,
        "warnings": [],
    }


def complete(
    folder: Path, settings: Settings, found: Mapping[str, Target], *, repeats: int, quick: bool
) -> dict[str, Any]:
    """Return the launcher's part with what the load generator knows."""
    path = folder / FILE
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runtime": "unknown"}
    return known | {
        "knobs": asdict(settings) | {"repeats": repeats, "quick": quick},
        "targets": {name: target.identity for name, target in found.items()},
        "round_trip_ms": {  # in whole milliseconds: less makes no difference, and differs between any two runs
            name: {"target": round(1e3 * target.round_trip), "api": round(1e3 * target.api_round_trip)}
            for name, target in found.items()
        },
        "generator": {
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "python": platform.python_version(),
            "model": MODELS,
            "packages": {name: metadata.version(name) for name in GENERATOR_PACKAGES},
        },
    }


def commit(root: Path) -> str | None:
    """Return the commit that was run, marked if files differ from it; None if no repository has these files."""
    if git(root, "ls-files", "--error-unmatch", "compose.yaml") is None:
        return None  # outside a checkout, which may lie in somebody else's repository all the same
    return git(root, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


def git(folder: Path, *words: str) -> str | None:
    """Return what git prints, in this folder's repository whatever GIT_DIR says; None if it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        asked = subprocess.run(
            ["git", *words],  # noqa: S607
            cwd=folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()


def machine() -> dict[str, Any]:
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": sys.version.split()[0],
    }


def cpu_model() -> str:
    with suppress(OSError):
        known = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        if model := re.search(r"^model name.*?: *(.*?) *$", known, re.MULTILINE):
            return model[1]
    return platform.processor() or platform.machine()


def write(content: Mapping[str, Any], folder: Path) -> None:
    """Write the manifest. Raises LabError."""
    files.write(folder / FILE, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
