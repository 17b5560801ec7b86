"""What does something cost that only waits, as a thread and as a task?

A page that waits is a thread that sleeps, or a task that sleeps. Ten thousand threads and a million tasks are
started, sleep together, and end; each crowd in a process of its own, so that its memory is its own.

Predict: a thread takes some kilobytes of its own stack that it has touched, and as much again in the kernel; the
megabytes of its stack that tools show are only reserved. A task takes one or two kilobytes, and no kernel.

You will see ten to thirty times the memory for a thread. And that ten thousand threads are no wonder any more: they
start in a second or two.

In your project: some hundred threads cost some megabytes. That is seldom a reason for async; tens of thousands of
open connections are, outside of Django: under ASGI it keeps a thread for each request as well (`sync-view-under-asgi`).
"""

from __future__ import annotations

from loadtests.experiments.judging import judged
from loadtests.model.experiment import Answers, Claim, Column, Experiment, Judgement, Probe
from loadtests.model.units import duration, size

TIMES = 4.0  # as much memory as a task, at the least


def judge(answers: Answers) -> Judgement:
    threads, tasks = answers["threads"], answers["tasks"]
    if stopped := [f"{name}: {said['stopped_by']}" for name, said in answers.items() if said.get("stopped_by")]:
        return Judgement(confirmed=False, sentence=f"Not all could sleep: {'; '.join(stopped)}.")
    # What the kernel keeps for a thread is counted where a limit counts it, and else nowhere.
    each = [said["counted_bytes_per_unit"] or said["bytes_per_unit"] or 0.0 for said in (threads, tasks)]
    figures = (
        f"{threads['started']:,} threads started in {duration(threads['seconds_to_start'])} at {size(each[0])} each, "
        f"{tasks['started']:,} tasks in {duration(tasks['seconds_to_start'])} at {size(each[1])} each"
    )
    times = each[0] / each[1] if each[1] else 0.0
    return judged(times >= TIMES, f"A task takes {times:.0f} times less memory", figures)


EXPERIMENT = Experiment(
    name="threads-vs-tasks",
    probe=Probe(
        target="sleepers",
        queries={
            "threads": "/?kind=threads&number=10000&seconds=5",
            "tasks": "/?kind=tasks&number=1000000&seconds=10",
        },
        quick_queries={
            "threads": "/?kind=threads&number=2000&seconds=1",
            "tasks": "/?kind=tasks&number=100000&seconds=2",
        },
        columns=(
            Column("started", "started"),
            Column("at_once", "slept together"),
            Column("seconds_to_start", "time to start", duration),
            Column("memory_bytes", "memory", size),
            Column("bytes_per_unit", "memory each", size),
            Column("counted_bytes_per_unit", "with the kernel's", size),
        ),
        judge=judge,
        seconds=(35.0, 5.0),
    ),
    claims=(
        Claim(
            "The stack of a thread is virtual memory and not its real cost; a task costs about two kilobytes.",
            "Jochen Wersdörfer, Django 3.1 Async (2020)",
            "https://wersdoerfer.de/blogs/ephes_blog/django-31-async/",
        ),
    ),
)
