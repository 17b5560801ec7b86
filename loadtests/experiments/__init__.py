"""A question is a file: its docstring is the question and the lesson, EXPERIMENT what is measured.

The files of this folder are found by themselves; a new question is a new file.
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from loadtests import knobs
from loadtests.analysis import noise
from loadtests.analysis.capacity import Prediction
from loadtests.analysis.inside import Inside
from loadtests.errors import BadInput, did_you_mean
from loadtests.knobs import Settings
from loadtests.step import Step, shaped
from loadtests.units import digits, duration

STANDARD_PLOTS = ("Goodput", "Response time", "External concurrency", "CPU per page")


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing that is compared; `label` tells apart what is otherwise the same.

    `strategy` is one of the target's strategies or variants. `knobs` are turned for this arm alone, `query` is added to
    what its pages ask for. `patience`: seconds after which its users leave. `fails`: its failed pages are the point.
    `holds`: seconds for which a page has the whole process to itself. `pool`: connections that its client has. `takes`:
    seconds that a page is known to take, where the formula does not know. `timeout`: seconds after which its client
    gives up a call, or the wait for a connection, where that is not the deployment's. `unknown`: why the formula cannot
    predict its pages; empty where it can. `breaks`: which laws of conservation.py its pages break on purpose, and why.
    """

    target: str
    strategy: str
    label: str = ""
    knobs: Mapping[str, float] = field(default_factory=dict, hash=False)
    query: str = ""
    method: str = "GET"
    patience: float | None = None
    streams: bool = False
    fails: bool = False
    holds: float = 0.0
    takes: float | None = None
    pool: int | None = None
    timeout: float | None = None
    unknown: str = ""
    breaks: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        return "-".join(part.replace(" ", "-") for part in (self.target, self.strategy, self.label) if part)

    @property
    def words(self) -> str:
        """As a sentence names it."""
        return f"{self.target} {self.strategy}" + (f" ({self.label})" if self.label else "")


@dataclass(frozen=True, slots=True)
class Point:
    """What is known of one arm at one step.

    Goodput in pages/s: the median, each repeat, and what one repeat could have been as well (`drawn`). Percentiles of
    the response time, and the median time to the first byte of what is streamed and to an answer that was not whole, in
    seconds, NaN where there was none, or too few pages to say it.
    `cpu_per_page` in CPU seconds.
    `noise_floor`: the share of goodput that a difference means nothing below.
    """

    arm: Arm
    step: Step
    slots: int | None
    goodput: float
    goodputs: tuple[float, ...]
    predicted: Prediction | None
    p50: float
    p95: float
    drawn: Any = ()
    pages: int = 0
    failures: int = 0
    seconds: float = 0.0
    cpu_per_page: float | None = None
    first_byte: float = math.nan
    failed_after: float = math.nan
    inside: Inside = field(default_factory=Inside)
    noise_floor: float = noise.FLOOR


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether what was predicted was seen, and the sentence that says so with the figures in it."""

    confirmed: bool
    sentence: str
    noise_floor: float | None = None  # a share, where the experiment measures it


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody wrote, in our words, and where.

    `confirmed`: what a run that confirms the experiment says of it; `otherwise`: what one says that does not.
    """

    text: str
    source: str
    url: str = ""
    confirmed: str = "holds"
    otherwise: str = "not seen here"


class CannotJudge(ValueError):
    """What was measured does not say whether the prediction was right; the message says what is missing."""


def judged(seen: object, lesson: str, figures: str) -> Judgement:
    """What was predicted was seen (anything true), which is the lesson; or it was not, and the figures say so."""
    return Judgement(bool(seen), f"{lesson if seen else 'Not as predicted'}: {figures}.")


Judge = Callable[[Sequence[Point]], Judgement]


def counted(value: float) -> str:
    return f"{value:,.0f}"


class Column(NamedTuple):
    """A figure of a probe's answers: its key there, its heading, and how a reader sees it."""

    key: str
    heading: str
    words: Callable[[float], str] = counted


Answers = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Probe:
    """A question that no page answers: what `target` says to each of the queries, by their names.

    `seconds`: how long it takes, about; of a quick one the second figure.
    """

    target: str
    queries: Mapping[str, str]
    quick_queries: Mapping[str, str]
    columns: tuple[Column, ...]
    judge: Callable[[Answers], Judgement]
    seconds: tuple[float, float]


def nothing_measured(points: Sequence[Point]) -> Judgement:
    return Judgement(confirmed=False, sentence="This question is not about pages.")


@dataclass(frozen=True, slots=True)
class Quick:
    """What QUICK=1 changes besides the pace: other steps (none: the same), knobs, and how many repeats at most."""

    steps: tuple[Step, ...] = ()
    knobs: Mapping[str, float] = field(default_factory=lambda: {"latency": 0.2})
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Experiment:
    """`arms` are compared at each of the `steps`; `judge` sees a point of every arm at every step.

    `knobs`: what the question sets by itself, where nobody asks for something else. `deployment`: variables of
    compose.yaml that it sets. `fresh`: its targets start anew, since it compares what they take and a process that was
    in use has taken more. `seconds`: the length of its load with compose.yaml's defaults, and of a quick one's; a test
    compares them with the plan. `plots`: titles of those that answer it. `probe`: in the place of arms and steps.
    """

    name: str
    arms: tuple[Arm, ...] = ()
    steps: tuple[Step, ...] = ()
    judge: Judge = nothing_measured
    probe: Probe | None = None
    repeats: int = 1
    knobs: Mapping[str, float] = field(default_factory=dict)
    deployment: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    plots: tuple[str, ...] = STANDARD_PLOTS
    claims: tuple[Claim, ...] = ()
    seconds: tuple[int, int] = (0, 0)
    quick: Quick = Quick()
    lesson: str = ""

    @property
    def targets(self) -> list[str]:
        """What has to be up."""
        if self.probe is not None:
            return [self.probe.target]
        return list(dict.fromkeys(arm.target for arm in self.arms))

    def quickened(self) -> Experiment:
        """As QUICK=1 asks it."""
        return replace(
            self,
            steps=self.quick.steps or self.steps,
            knobs={**self.knobs, **self.quick.knobs},
            repeats=min(self.repeats, self.quick.repeats),
            probe=self.probe and replace(self.probe, queries=self.probe.quick_queries),
        )

    @property
    def question(self) -> str:
        return self.lesson.partition("\n")[0]


def how_long(point: Point) -> str:
    """How long pages take, as a sentence says it: the slow ones, or half of them where too few came to tell."""
    return f"median {duration(point.p50)}" if math.isnan(point.p95) else f"p95 {duration(point.p95)}"


def times_as_many(more: Point, less: Point) -> str:
    """How many times the goodput, as a sentence says it, with its 95 % interval."""
    from loadtests.analysis import uncertainty  # noqa: PLC0415  # not on the system's Python: it takes numpy

    ratio = more.goodput / less.goodput if less.goodput else 0.0
    sure = uncertainty.of_ratio(more.goodputs, less.goodputs, (more.drawn, less.drawn))
    interval = f" (95 %: {digits(sure.low)} to {digits(sure.high)})" if sure else ""
    return f"{digits(ratio)} times as many{interval}"


def expected(point: Point) -> Prediction:
    """What the formula predicts, for an arm that it knows."""
    if point.predicted is None:
        raise ValueError(f"{point.arm.name} has no prediction")
    return point.predicted


def of(points: Sequence[Point], arm: Arm) -> list[Point]:
    """The arm's, by ascending steps."""
    return [point for point in points if point.arm == arm]


def last(points: Sequence[Point], arm: Arm) -> Point:
    """The arm's at its highest step."""
    return of(points, arm)[-1]


def cpu_of(points: Sequence[Point], arm: Arm) -> float:
    """CPU seconds a page at the arm's highest step. Raises CannotJudge."""
    point = last(points, arm)
    if point.cpu_per_page is None:
        raise CannotJudge(f"nobody could read what CPU {arm.words} took")
    return point.cpu_per_page


def refuse_other_steps(experiment: Experiment, asked: Sequence[Step]) -> None:
    """Raises BadInput where steps are asked for and the experiment is about its own."""
    turned = {name.upper() for step in experiment.steps for name in step.knobs}
    if asked and turned:
        raise BadInput(
            f"{experiment.name} turns {', '.join(sorted(turned))} from step to step, so it takes no USERS= and no RATE="
        )


def asked_steps(experiment: Experiment, options: Any) -> tuple[Step, ...]:
    """What the options ask for, else the experiment's own, in the shape that they ask for."""
    return shaped((*options.users, *options.rate) or experiment.steps, options.think, options.arrivals)


def refuse_shape(experiment: Experiment, options: Any) -> None:
    """Raise BadInput where THINK= or ARRIVALS= is asked for and no step of the experiment has any."""
    steps = (*options.users, *options.rate) or experiment.steps
    if options.arrivals and not any(step.is_open for step in steps):
        raise BadInput(f"ARRIVALS is the shape of what arrives (RATE=), and nothing arrives in {experiment.name}")
    if options.think is not None and all(step.is_open for step in steps):
        raise BadInput(f"THINK is what users do after a page (USERS=), and {experiment.name} has none")


def refuse_decided(experiment: Experiment, asked: Collection[str]) -> None:
    """Raise BadInput where variables are asked for that the experiment sets in each of its measurements."""
    turned = [
        {name.upper() for name in (*arm.knobs, *step.knobs)}
        for one in (experiment, experiment.quickened())
        for arm in one.arms
        for step in one.steps
    ]
    decided = {*experiment.deployment, *set.intersection(*turned or [set()])}
    for name in sorted(decided & set(asked)):
        raise BadInput(f"{name} is set by {experiment.name} itself. Leave {name} out, or choose another EXPERIMENT.")


def refuse_together(experiment: Experiment, options: Any, defaults: Mapping[str, str]) -> None:
    """Raise BadInput where the knobs of one of the experiment's measurements do not go together."""
    asked = experiment.quickened() if options.quick else experiment
    found = settings(asked, options, defaults)
    for arm in asked.arms:
        for step in asked.steps:
            found.turned({**arm.knobs, **step.knobs})


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


def names(text: str) -> list[str]:
    """'fan-out,slots' → the experiments' names; 'all' names every one. Raises BadInput."""
    if text.strip() == "all":
        return list(catalogue())
    return list(dict.fromkeys(find(name.strip()).name for name in text.split(",")))


def find(name: str) -> Experiment:
    """Raises BadInput."""
    experiments = catalogue()
    if name not in experiments:
        near = did_you_mean(name.lower().replace("_", "-"), experiments) or "."
        raise BadInput(f"there is no experiment {name[:80]!r}{near} There are: {', '.join(experiments)}, all")
    return experiments[name]
