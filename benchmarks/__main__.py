"""The command line: `make bench`. Exit status 0 met, 1 some not met, 2 not valid, 3 not up."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata

from rich.console import Console

from benchmarks import lab
from benchmarks.agreement import agreement, generators
from benchmarks.api import api
from benchmarks.overhead import harness, peers, plateau, telemetry, trace
from benchmarks.result import Result
from loadtests import ROOT
from loadtests.errors import ExitCode, Interrupted, LabError
from loadtests.results import files, manifest
from loadtests.results.folders import FOLDER as RESULTS

BENCHMARKS = {run.__name__: run for run in (agreement, api, generators, harness, peers, plateau, telemetry, trace)}
PACKAGES = (
    *("django", "asgiref", "fastapi", "starlette", "httpx", "httpx-aiohttp", "aiohttp", "gunicorn", "uvicorn"),
    *("uvloop", "httptools", "prometheus-client", "locust", "gevent", "hdrhistogram"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the lab can do and what it costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; none: all of them")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        print(f"benchmarks: there is no {unknown[0]!r}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return ExitCode.NOT_UP
    try:
        return bench(names)
    except LabError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        if error.details:
            print(error.details, file=sys.stderr)
        return ExitCode.NOT_UP
    except (Interrupted, KeyboardInterrupt):
        return ExitCode.INTERRUPTED


def bench(names: list[str]) -> ExitCode:
    """Run one after the other; keep what has been measured even when a later one fails. Raises LabError."""
    console = Console(highlight=False)
    console.print(f"Local processes; what is measured runs {lab.ISOLATION}.")
    results: dict[str, Result] = {}
    for name in names:
        console.print(f"\n{name}: {BENCHMARKS[name].__doc__} …", style="bold")
        results[name] = lab.undisturbed_by_others(BENCHMARKS[name])
        console.print(results[name].title)
        results[name].show(console)
        write(results)
    return max((result.code for result in results.values()), default=ExitCode.CONFIRMED)


def write(results: Mapping[str, Result]) -> None:
    """Write the figures for programs: ratios, goals, and all that they depend on. Times are in seconds."""
    content = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "isolation": f"local processes; what is measured runs {lab.ISOLATION}",
        "machine": manifest.machine(),
        "commit": manifest.commit(ROOT),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "benchmarks": {name: result.as_json() for name, result in results.items()},
    }
    path = RESULTS / "bench.json"
    files.write(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    print(f"Figures: {os.path.relpath(path)}")


if __name__ == "__main__":
    sys.exit(main())
