"""How many load generators a load needs, and how many this machine has cores for (GENERATORS=auto)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping

from loadtests.model.experiment import Experiment
from loadtests.model.run_options import RunOptions

CARRIED = 2000.0  # pages/s by one load generator, of the small pages of the lab; docs/scale.md has what was measured


def chosen(
    asked: Experiment, options: RunOptions, variables: Mapping[str, str], cores: int | None = None
) -> tuple[int, str]:
    """Return how many load generators to start, and the sentence that says why.

    `variables`: compose.yaml's, which say how many processes serve. They take a core each, as does a load generator.
    """
    most = max(offered(asked, options, variables))
    needed = math.ceil(min(most, 1e6) / CARRIED) or 1
    wsgi, asgi, api = (int(variables.get(f"{name}_WORKERS") or 1) for name in ("WSGI", "ASGI", "API"))
    serving = max(wsgi, asgi) + api
    here = cores or os.cpu_count() or 1
    possible = max(1, here - serving)
    number = min(needed, possible)
    load = f"up to {most:,.0f} pages/s" if math.isfinite(most) else "as many pages as the target serves"
    needs = f"{load} need {needed}" if math.isfinite(most) else load
    short = f", and this machine has {here} cores, of which target and api take {serving}" if number < needed else ""
    return number, f"GENERATORS=auto: {number} load generator{'s' * (number > 1)}; {needs}{short}."


def offered(asked: Experiment, options: RunOptions, variables: Mapping[str, str]) -> Iterator[float]:
    """Yield the pages/s that each arm is asked for at each load level, if a page takes as long as one of its calls."""
    experiment = options.applied_to(asked)
    settings = options.settings(experiment, variables)
    for arm in experiment.arms:
        for level in experiment.levels:
            page = (arm.takes or settings.turned({**arm.knobs, **level.knobs}).latency) + level.think
            seconds = 1.0 if level.is_open else page
            yield level.amount / seconds if seconds else math.inf
