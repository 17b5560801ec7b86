"""A question is a file: its docstring is the question and the lesson, EXPERIMENT what is measured.

The files of this folder are found by themselves; a new question is a new file.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from loadtests.errors import BadInput


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing that is compared; `label` tells apart what is otherwise the same."""

    target: str
    strategy: str
    label: str = ""

    @property
    def name(self) -> str:
        return "-".join(part for part in (self.target, self.strategy, self.label) if part)


@dataclass(frozen=True, slots=True)
class Point:
    """What is known of one arm at one step: pages/s measured (median, and each repeat) and predicted, users, slots."""

    arm: Arm
    users: int
    slots: int | None
    goodput: float
    goodputs: tuple[float, ...]
    predicted_goodput: float
    p95: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether what was predicted was seen, and the sentence that says so with the figures in it."""

    confirmed: bool
    sentence: str
    noise_floor: float | None = None  # a share, where the experiment measures it


Judge = Callable[[Sequence[Point]], Judgement]


@dataclass(frozen=True, slots=True)
class Experiment:
    """`arms` are compared at each of the steps `users`; `judge` sees the points of the highest step."""

    name: str
    arms: tuple[Arm, ...]
    users: tuple[int, ...]
    judge: Judge
    repeats: int = 1
    lesson: str = ""

    @property
    def question(self) -> str:
        return self.lesson.partition("\n")[0]


def catalogue() -> Mapping[str, Experiment]:
    """Every experiment of this folder by name."""
    found = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        experiment: Experiment = module.EXPERIMENT
        lesson = inspect.getdoc(module) or ""
        found[experiment.name] = replace(experiment, lesson=lesson)
    return found


def find(name: str) -> Experiment:
    """Raises BadInput."""
    experiments = catalogue()
    if name not in experiments:
        raise BadInput(f"there is no experiment {name[:80]!r}; there are: {', '.join(experiments)}")
    return experiments[name]
