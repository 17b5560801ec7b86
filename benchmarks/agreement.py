"""Compare the lab with wrk, with a load generator of forty lines, and with itself by several load generators."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import lab
from benchmarks.load import Load
from benchmarks.result import Goal, Result, figures_table
from loadtests import ROOT
from loadtests.errors import LabDown
from loadtests.results import folders, manifest

# With jitter users forget their phase, so it does not matter how a generator starts them. With few and slow calls the
# figures test the arithmetic and not the CPU.
FAN_OUT, LATENCY, JITTER = 4, 0.1, 0.4  # seconds
USERS, WARM_UP, SECONDS = 30, 2, 15
STRATEGIES = {"wsgi": "threadpool", "asgi": "gather"}
ROUNDS = 3
WITHIN = 0.03
NUMBERS = (1, 2, 3)  # load generators
FIGURES = ("goodput", "p50", "p95")
LAB, FORTY_LINES, WRK = "lab", "forty lines", "wrk"
WRK_PRINTS = """
done = function(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    '{"pages": %d, "seconds": %f, "failed": %d, "p50": %f, "p95": %f}',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e6, latency:percentile(95) / 1e6))
end
"""


def agreement() -> Result:
    """Do goodput, p50 and p95 of the lab agree within 3 % with those of two other load generators?"""
    measured: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    generators = [LAB, FORTY_LINES, *([WRK] if shutil.which("wrk") else [])]
    with lab.running(*STRATEGIES) as runtime:
        urls = {}
        for name, strategy in STRATEGIES.items():
            load = Load(strategy, FAN_OUT, LATENCY, USERS, WARM_UP, SECONDS)
            urls[name] = f"{load.url(runtime.ask(name))}&jitter={JITTER}&page=agreement"
        for turn, generator in lab.alternating(generators, ROUNDS):
            print(f"round {turn + 1} of {ROUNDS}: {generator} …", flush=True)
            measure = by_wrk if generator == WRK else by_forty_lines
            found = by_the_lab(runtime) if generator == LAB else {name: measure(url) for name, url in urls.items()}
            for target, read in found.items():
                measured[target, generator].append(read)
    grid = figures_table("target", "generator", "pages/s", "p50", "p95")
    for (target, generator), rounds in sorted(measured.items(), reverse=True):
        times = (f"{middle(rounds, name) * 1e3:.0f} ms" for name in ("p50", "p95"))
        grid.add_row(target, generator, f"{middle(rounds, 'goodput'):.1f}", *times)
    return Result(
        title=f"{USERS} users, {FAN_OUT} calls × {LATENCY:g} s and up to {JITTER:g} s more, {ROUNDS} rounds",
        goals=[
            agrees(target, other, name, measured)
            for target in STRATEGIES
            for other in generators[1:]
            for name in FIGURES
        ],
        table=grid,
        notes=[] if WRK in generators else ["wrk is not installed (Debian has it): it was left out."],
        figures={"measured": {f"{target}: {generator}": rounds for (target, generator), rounds in measured.items()}},
    )


def generators() -> Result:
    """Do several load generators see what one sees?"""
    measured: dict[tuple[str, int], list[dict[str, float]]] = defaultdict(list)
    with lab.running(*STRATEGIES) as runtime:
        for turn, number in lab.alternating(NUMBERS, ROUNDS):
            print(f"round {turn + 1} of {ROUNDS}: {number} …", flush=True)
            for target, read in by_the_lab(runtime, number).items():
                measured[target, number].append(read)
    grid = figures_table("target", "load generators", "pages/s", "p50", "p95")
    for (target, number), rounds in sorted(measured.items(), reverse=True):
        times = (f"{middle(rounds, name) * 1e3:.0f} ms" for name in ("p50", "p95"))
        grid.add_row(target, str(number), f"{middle(rounds, 'goodput'):.1f}", *times)
    pairs = [(target, number) for target in STRATEGIES for number in NUMBERS[1:]]
    return Result(
        title=f"{USERS} users, {FAN_OUT} calls × {LATENCY:g} s and up to {JITTER:g} s more, {ROUNDS} rounds",
        goals=[agrees(target, 1, name, measured, of=number) for target, number in pairs for name in FIGURES],
        table=grid,
        notes=[],
        figures={"measured": {f"{target}: {number}": rounds for (target, number), rounds in measured.items()}},
    )


def middle(rounds: list[dict[str, float]], name: str) -> float:
    return median(figures[name] for figures in rounds)


def agrees(
    target: str, other: str | int, name: str, measured: Mapping[Any, list[dict[str, float]]], of: str | int = LAB
) -> Goal:
    ratio = middle(measured[target, of], name) / middle(measured[target, other], name)
    wanted, met = f"{1 - WITHIN:.2f}–{1 + WITHIN:.2f}", abs(ratio - 1) <= WITHIN
    return Goal(f"{target}, {name}: {of} / {other}", wanted, f"{ratio:.3f}", met, {"ratio": ratio})


def by_the_lab(runtime: lab.PinnedRuntime, number: int = 1) -> dict[str, dict[str, float]]:
    """Run the lab's own load generators, and read what they wrote. Raises LabDown."""
    load = [f"--users={USERS}", f"--fan-out={FAN_OUT}", f"--latency={LATENCY:g}", f"--jitter={JITTER:g}"]
    load += [f"--generators={number}"]
    with tempfile.TemporaryDirectory(prefix="agreement-") as name:
        folder = Path(name)
        manifest.write(manifest.launched(ROOT, runtime.name, runtime.describe(), "make bench"), folder)
        command = ["measure", "--experiment=external-concurrency", *load]
        process = runtime.generate(command, list(STRATEGIES), folder, number if number > 1 else 0)
        try:
            process.wait(lab.PATIENCE)  # its standard input stays open: that is what it lives by
        except subprocess.TimeoutExpired:
            runtime.interrupt(process)
        summary = folders.summary(folder / "summary.json") or {"complete": False}
    if not summary["complete"]:
        raise LabDown("the lab's load generator did not measure to its end")
    if summary["verdict"]["status"] == "invalid":
        raise LabDown(f"the lab's own measurement is invalid: {summary['verdict']['sentence']}")
    steps = {arm["target"]: arm["steps"][0] for arm in summary["arms"]}
    return {name: {"goodput": step["goodput"], **step["response_time"]} for name, step in steps.items()}


def by_forty_lines(url: str) -> dict[str, float]:
    script = "benchmarks/peers/forty_lines.py"
    return lab.generated(FORTY_LINES, sys.executable, script, url, USERS, WARM_UP, SECONDS)


def by_wrk(url: str) -> dict[str, float]:
    """Measure by wrk, which counts from a standstill: goodput is that of a long run less that of a short one."""
    short, long = (wrk(url, seconds) for seconds in (WARM_UP, WARM_UP + SECONDS))
    goodput = (long["pages"] - short["pages"]) / (long["seconds"] - short["seconds"])
    return {"goodput": goodput, "p50": long["p50"], "p95": long["p95"]}


def wrk(url: str, seconds: int) -> dict[str, float]:
    """Run wrk once. Raises LabDown if a page failed."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK_PRINTS)
        script.flush()
        words = "-t1", f"-c{USERS}", f"-d{seconds}s", "--timeout=60s", f"--script={script.name}"
        figures = lab.generated(WRK, "wrk", *words, url)
    if figures["failed"]:
        raise LabDown(f"wrk saw {figures['failed']:.0f} failures at {url}")
    return figures
