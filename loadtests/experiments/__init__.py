"""A question is a file: its docstring is the question and the lesson, EXPERIMENT what is measured.

The files of this folder are found by themselves; a new question is a new file.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from loadtests import knobs
from loadtests.analysis.capacity import Prediction
from loadtests.analysis.inside import Inside
from loadtests.errors import BadInput
from loadtests.knobs import Settings
from loadtests.step import Step


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
    """What is known of one arm at one step.

    Goodput in pages/s: the median, and each repeat. Percentiles of the response time in seconds, NaN where no page
    was whole.
    """

    arm: Arm
    step: Step
    slots: int | None
    goodput: float
    goodputs: tuple[float, ...]
    predicted: Prediction
    p50: float
    p95: float
    inside: Inside = field(default_factory=Inside)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether what was predicted was seen, and the sentence that says so with the figures in it."""

    confirmed: bool
    sentence: str
    noise_floor: float | None = None  # a share, where the experiment measures it


Judge = Callable[[Sequence[Point]], Judgement]


@dataclass(frozen=True, slots=True)
class Quick:
    """What QUICK=1 changes of an experiment besides its pace: other steps (none: the same) and knobs."""

    steps: tuple[Step, ...] = ()
    knobs: Mapping[str, float] = field(default_factory=lambda: {"latency": 0.2})


@dataclass(frozen=True, slots=True)
class Experiment:
    """`arms` are compared at each of the `steps`; `judge` sees a point of every arm at every step.

    `knobs`: what the question sets by itself, where nobody asks for something else.
    """

    name: str
    arms: tuple[Arm, ...]
    steps: tuple[Step, ...]
    judge: Judge
    repeats: int = 1
    knobs: Mapping[str, float] = field(default_factory=dict)
    quick: Quick = Quick()
    lesson: str = ""

    def quickened(self) -> Experiment:
        """As QUICK=1 asks it."""
        return replace(self, steps=self.quick.steps or self.steps, knobs={**self.knobs, **self.quick.knobs})

    @property
    def question(self) -> str:
        return self.lesson.partition("\n")[0]


def highest(points: Sequence[Point]) -> list[Point]:
    """Those of the highest step, in the arms' order; open steps are above closed ones."""
    top = max((point.step for point in points), default=None)
    return [point for point in points if point.step == top]


def settings(experiment: Experiment, asked: object, defaults: Mapping[str, str]) -> Settings:
    """What was `asked` for (an attribute for each knob), else what the experiment sets, else compose.yaml's defaults.

    Raises BadInput.
    """
    texts = {knob.name: defaults.get(knob.variable, "") for knob in knobs.KNOBS}
    texts |= {name: str(value) for name, value in experiment.knobs.items()}
    given = {knob.name: getattr(asked, knob.name) for knob in knobs.KNOBS}
    return knobs.settings(texts | {name: text for name, text in given.items() if text})


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
