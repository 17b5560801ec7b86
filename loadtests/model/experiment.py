"""A question: what is compared, at which load, and how an answer is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loadtests.model.load_level import LoadLevel
from loadtests.model.prediction import Prediction
from loadtests.model.server_metrics import Inside

STANDARD_PLOTS = ("Goodput", "Response time", "External concurrency", "CPU per page")


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing that is compared; `label` tells apart what is otherwise the same.

    `strategy` is one of the target's strategies or variants. `knobs` are turned for this arm alone, `query` is added to
    what its pages ask for. `patience`: seconds after which its users leave. `fails`: its failed pages are the point.
    `holds`: seconds for which a page has the whole process to itself. `pool`: connections that its client has, in each
    worker. `takes`: seconds that a page is known to take, where the formula does not know. `cpu`: CPU seconds that its
    pages are known to take, before any are measured. `timeout`: seconds after which its client gives up a call, or the
    wait for a connection, where that is not the deployment's. `unknown`: why the formula cannot predict its pages;
    empty where it can. `breaks`: which laws of conservation.py its pages break on purpose, and why.
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
    cpu: float = 0.0
    pool: int | None = None
    timeout: float | None = None
    unknown: str = ""
    breaks: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        return "-".join(part.replace(" ", "-") for part in (self.target, self.strategy, self.label) if part)

    @property
    def server(self) -> str:
        """Return the target as a sentence names it."""
        return spoken(self.target)

    @property
    def words(self) -> str:
        """Return the arm as a sentence names it."""
        return arm_words(self.target, self.strategy, self.label)


def spoken(target: str) -> str:
    """Return a target's name as a person says it: WSGI 4x25 spread for wsgi-4x25-spread, WSGI for wsgi-own."""
    interface, _, which = target.removesuffix("-own").partition("-")
    return " ".join([interface.upper() if interface in {"wsgi", "asgi"} else interface, *which.split("-")]).strip()


def arm_words(target: str, strategy: str, label: str = "") -> str:
    """Return the name that an arm has in tables, plots and sentences: WSGI threadpool."""
    return f"{spoken(target)} {label or strategy.replace('_', ' ')}"


@dataclass(frozen=True, slots=True)
class Point:
    """What is known of one arm at one step.

    Goodput in pages/s: the median, each repeat, and what one repeat could have been as well (`drawn`); its 95 %
    `interval`. Percentiles of
    the response time, and the median time to the first byte of what is streamed and to an answer that was not whole, in
    seconds, NaN where there was none, or too few pages to say it.
    `cpu_per_page` in CPU seconds.
    `noise_floor`: the share of goodput that a difference means nothing below. `cores`: those that the target can have.
    """

    arm: Arm
    level: LoadLevel
    slots: int | None
    goodput: float
    goodputs: tuple[float, ...]
    predicted: Prediction | None
    p50: float
    p95: float
    noise_floor: float
    drawn: Any = ()
    interval: tuple[float, float] | None = None
    pages: int = 0
    failures: int = 0
    seconds: float = 0.0
    cpu_per_page: float | None = None
    first_byte: float = math.nan
    failed_after: float = math.nan
    inside: Inside = field(default_factory=Inside)
    workers: int = 1
    cores: float = 1.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether what was predicted was seen, and the sentence that says so with the figures in it.

    `key`: the three figures at most that decide, where the sentence has more.
    """

    confirmed: bool
    sentence: str
    noise_floor: float | None = None  # a share, where the experiment measures it
    key: tuple[str, ...] = ()


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


Judge = Callable[[Sequence[Point]], Judgement]


def nothing_measured(points: Sequence[Point]) -> Judgement:
    return Judgement(confirmed=False, sentence="This question is not about pages.")


QUICK_LATENCY = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Quick:
    """What QUICK=1 changes besides the pace: other steps (none: the same), knobs, and how many repeats at most.

    A question that sets no latency has a short one.
    """

    levels: tuple[LoadLevel, ...] = ()
    knobs: Mapping[str, float] = field(default_factory=dict)
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Experiment:
    """`arms` are compared at each of the `steps`; `judge` sees a point of every arm at every step.

    `knobs`: what the question sets by itself, where nobody asks for something else. `deployment`: variables of
    compose.yaml that it sets, and `proposes` those that it sets where nobody else does. `fresh`: its targets start
    anew, since it compares what they take and a process that was in use has taken more. `seconds`: the length of its
    load with compose.yaml's defaults, and of a quick one's; a test compares them with the plan. `cores`: those of a
    machine that carries its load; all claims are measured without it where there are fewer, but for a quick one.
    `plots`: titles of those that answer it.
    """

    name: str = ""
    arms: tuple[Arm, ...] = ()
    levels: tuple[LoadLevel, ...] = ()
    judge: Judge = nothing_measured
    repeats: int = 1
    knobs: Mapping[str, float] = field(default_factory=dict)
    deployment: Mapping[str, str] = field(default_factory=dict)
    proposes: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    plots: tuple[str, ...] = STANDARD_PLOTS
    claims: tuple[Claim, ...] = ()
    seconds: tuple[int, int] = (0, 0)
    cores: int = 1
    quick: Quick = Quick()
    lesson: str = ""

    @property
    def targets(self) -> list[str]:
        """Return the targets that have to be up."""
        return list(dict.fromkeys(arm.target for arm in self.arms))

    def quickened(self) -> Experiment:
        """Return the experiment as QUICK=1 asks for it."""
        return replace(
            self,
            levels=self.quick.levels or self.levels,
            knobs={"latency": QUICK_LATENCY, **self.knobs, **self.quick.knobs},
            repeats=min(self.repeats, self.quick.repeats),
        )

    def deployed(self, variables: Mapping[str, str]) -> Experiment:
        """Return the experiment with all that it sets where these variables are set."""
        proposed = {name: value for name, value in self.proposes.items() if not variables.get(name)}
        return replace(self, deployment={**proposed, **self.deployment})

    @property
    def question(self) -> str:
        return self.lesson.partition("\n")[0]

    @property
    def advice(self) -> str:
        """Return what the lesson says of a reader's own project; empty where it says nothing."""
        _, found, rest = self.lesson.partition("In your project:")
        return " ".join(rest.split()) if found else ""
