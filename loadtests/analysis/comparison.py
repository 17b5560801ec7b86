"""What two runs of one question differ in: their manifests, and their figures beyond the noise or not. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from loadtests.analysis import noise
from loadtests.errors import BadInput
from loadtests.model.load_level import LoadLevel

T = TypeVar("T")

PERCENTILES = ("p50", "p95", "p99")
NO_DIFFERENCE, WITHIN, BEYOND = "no difference", "within the noise", "beyond the noise"
ABOVE = "above the floor"  # without repeats on both sides nobody knows the noise
NOT_COMPARABLE = "not comparable"
ABSENT = "not there"
TIMES = "response_time_repeats"

FIRST = ("runtime", "commit", "knobs", "services")  # of the manifest: what a person changes most
# When a run began, and how it was typed: all that this sets stands elsewhere in the manifest.
IGNORED = {("started",), ("command",), ("noise_floor",)}
IGNORED_LEAVES = {"PUBLISHED_PORT"}
LARGEST = 1e15  # beyond it, and for NaN, a number in a summary is damage


class Place(NamedTuple):
    """One arm at one step."""

    arm: str
    load: str

    def __str__(self) -> str:
        return f"{self.arm} at {self.load}"


class Failures(NamedTuple):
    """Answers that were not a whole page, of how many, over all repeats."""

    failed: int
    answers: int
    reasons: Mapping[str, int]

    @property
    def known_by(self) -> tuple[int, Mapping[str, int]]:
        return self.failed, self.reasons


@dataclass(frozen=True, slots=True)
class Measured:
    """`goodput` in pages/s; `times` are percentiles in seconds, None of too few pages None; `repeats` of each."""

    goodput: float
    repeats: Mapping[str, tuple[float, ...]]
    times: Mapping[str, float | None]
    failures: Failures


@dataclass(frozen=True, slots=True)
class Run:
    """What of a summary is compared. `noise_floor` is a share, None when no noise was measured."""

    schema_version: int
    experiment: str
    complete: bool
    status: str
    sentence: str
    noise_floor: float | None
    manifest: Mapping[str, str]
    steps: Mapping[Place, Measured]

    @property
    def why_not(self) -> str | None:
        """Return why its figures are not to be compared; None if they are."""
        if self.complete and self.status != "invalid":
            return None
        if self.complete:
            return f"INVALID: {self.sentence}"
        return f"INCOMPLETE: {self.sentence.removeprefix('Incomplete, ')}"


class Change(NamedTuple):
    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of both runs: `goodput` in pages/s or a percentile in seconds. `floor` is a share.

    `p`: the chance that repeats of the same thing differ so much, corrected for how many figures are compared; None
    where one of the two has no repeats.
    """

    place: Place
    name: str
    before: float | None
    after: float | None
    floor: float
    repeats: tuple[Sequence[float], Sequence[float]] = ((), ())
    p: float | None = None

    @property
    def unit(self) -> str:
        return "pages/s" if self.name == "goodput" else "s"

    @property
    def change(self) -> float | None:
        """Return the change as a share of the figure before; None if one of the two is missing."""
        if self.before is None or self.after is None:
            return None
        if self.before == self.after:
            return 0.0
        return (self.after - self.before) / self.before if self.before else math.inf

    @property
    def times(self) -> float:
        """Return how many times the smaller figure the larger one is: halved weighs as much as doubled."""
        small, large = sorted((self.before or 0.0, self.after or 0.0))
        return large / small if small else math.inf

    @property
    def has_spread(self) -> bool:
        return all(len(repeats) >= 2 for repeats in self.repeats)

    @property
    def verdict(self) -> str:
        if self.change is None:
            return NOT_COMPARABLE
        if abs(self.change) <= self.floor:
            return NO_DIFFERENCE
        if self.p is None:
            return ABOVE
        return BEYOND if self.p <= noise.SIGNIFICANT else WITHIN

    @property
    def changed(self) -> bool:
        return self.verdict in {BEYOND, ABOVE}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`only` holds the places that A alone and that B alone has; `floor` is a share."""

    changes: Sequence[Change]
    figures: Sequence[Figure]
    failures: Sequence[tuple[Place, Failures, Failures]]
    only: tuple[Sequence[Place], Sequence[Place]]
    floor: float
    floor_measured: bool

    @property
    def goodputs(self) -> list[Figure]:
        return [figure for figure in self.figures if figure.name == "goodput"]

    @property
    def response_times(self) -> list[Figure]:
        return [figure for figure in self.figures if figure.name != "goodput" and figure.change is not None]

    @property
    def largest(self) -> Figure | None:
        """Return the largest change: of goodput, and of response times only if no goodput changed."""
        for group in (self.goodputs, self.response_times):
            if changed := [figure for figure in group if figure.changed]:
                return max(changed, key=lambda figure: figure.times)
        return None


def compare(a: Run, b: Run) -> Comparison:
    """Compare run A with run B. Raises BadInput if they do not answer the same question in the same form."""
    if a.schema_version != b.schema_version:
        raise BadInput(
            f"A and B were written by different versions of the lab (schema_version {a.schema_version} and "
            f"{b.schema_version}), whose figures may not mean the same; run one of them again"
        )
    if a.experiment != b.experiment:
        raise BadInput(
            f"A and B ask different questions ({a.experiment[:80]!r} and {b.experiment[:80]!r}); "
            "compare two runs of one experiment"
        )
    measured = [run.noise_floor for run in (a, b) if run.noise_floor is not None]
    floor = max(measured, default=noise.FLOOR)
    both = [place for place in a.steps if place in b.steps]
    return Comparison(
        changes=changes(a.manifest, b.manifest),
        figures=tested([figure for place in both for figure in figures(place, a.steps[place], b.steps[place], floor)]),
        failures=[
            (place, a.steps[place].failures, b.steps[place].failures)
            for place in both
            if a.steps[place].failures.known_by != b.steps[place].failures.known_by
        ],
        only=(
            [place for place in a.steps if place not in b.steps],
            [place for place in b.steps if place not in a.steps],
        ),
        floor=floor,
        floor_measured=bool(measured),
    )


def figures(place: Place, a: Measured, b: Measured, floor: float) -> Iterator[Figure]:
    yield Figure(place, "goodput", a.goodput, b.goodput, floor, (a.repeats["goodput"], b.repeats["goodput"]))
    for name in PERCENTILES:
        if a.times[name] is not None or b.times[name] is not None:
            yield Figure(place, name, a.times[name], b.times[name], floor, (a.repeats[name], b.repeats[name]))


def tested(found: Sequence[Figure]) -> list[Figure]:
    """Return the figures with their `p`: Welch's t, since three repeats are too few for a test by ranks, which cannot
    go below 0.1 there; corrected by Y. Benjamini and Y. Hochberg (1995).
    """
    spread = [figure for figure in found if figure.has_spread]
    if not spread:
        return list(found)
    from scipy import stats  # noqa: PLC0415  # the system's Python lacks it, and can compare what has no repeats

    from loadtests.analysis import uncertainty  # noqa: PLC0415  # likewise

    corrected = iter(stats.false_discovery_control([uncertainty.difference(*figure.repeats).p for figure in spread]))
    return [replace(figure, p=float(next(corrected))) if figure.has_spread else figure for figure in found]


def changes(a: Mapping[str, str], b: Mapping[str, str]) -> list[Change]:
    """Return what differs between two flat manifests, by key."""

    def order(key: str) -> tuple[int, str]:
        group = key.partition(".")[0]
        return (FIRST.index(group) if group in FIRST else len(FIRST), key)

    found = (Change(key, a.get(key, ABSENT), b.get(key, ABSENT)) for key in sorted({*a, *b}, key=order))
    return [change for change in found if change.before != change.after]


def flat(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the manifest with dotted keys, without what differs between any two runs."""
    return {".".join(path): text for path, text in leaves(manifest, ()) if path not in IGNORED}


def leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in IGNORED_LEAVES:
                yield from leaves(inner, (*path, key))
    elif path[0] == "services" and path[-1] == "command" and isinstance(value, str):
        yield from (((*path, option), text) for option, text in options(value).items())
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def options(command: str) -> dict[str, str]:
    """Return a command line by its options, so that one changed number is one changed key."""
    found: dict[str, list[str]] = {"program": []}
    name = "program"
    for word in command.split():
        if word.startswith("-"):
            name, _, value = word.partition("=")
            found.setdefault(name, []).extend([value] if value else [])
        else:
            found[name].append(word)
    return {name: " ".join(values) or "given" for name, values in found.items()}


def parse(summary: object) -> Run:
    """Return the content of a summary.json. Raises ValueError, which names what is missing or wrong."""
    if not isinstance(summary, Mapping):
        raise ValueError("it is not an object")  # noqa: TRY004  # of a file's content, not of an argument
    verdict: dict[str, Any] = take(summary, "verdict", dict)
    floor = summary.get("noise_floor")
    return Run(
        schema_version=take(summary, "schema_version", int),
        experiment=take(summary, "experiment", str),
        complete=take(summary, "complete", bool),
        status=take(verdict, "status", str),
        sentence=take(verdict, "sentence", str),
        noise_floor=None if floor is None else number(floor, "noise_floor"),
        manifest=flat(take(summary, "manifest", dict)),
        steps=dict(places(take(summary, "arms", list))),
    )


def places(arms: Sequence[Any]) -> Iterator[tuple[Place, Measured]]:
    """Yield each arm at each load; an arm that is there twice, as in a target against itself, is numbered."""
    seen: dict[str, int] = {}
    for arm in arms:
        name = f"{take(arm, 'target', str)} {take(arm, 'strategy', str)}"
        seen[name] = seen.get(name, 0) + 1
        label = name if seen[name] == 1 else f"{name} ({seen[name]})"
        for step in take(arm, "steps", list):
            if not isinstance(step, Mapping):
                raise ValueError("a step is not an object")  # noqa: TRY004  # of a file's content, not of an argument
            yield Place(label, load_of(step)), step_of(step)


def load_of(step: Mapping[str, Any]) -> str:
    """Return the step's name; until schema_version 2 a step had none, and was a number of users."""
    if "name" not in step and isinstance(number := step.get("users"), int):
        return LoadLevel(users=number).name
    return take(step, "name", str)


def step_of(step: Mapping[str, Any]) -> Measured:
    times: dict[str, Any] = take(step, "response_time", dict)
    reasons: dict[str, Any] = take(step, "failure_reasons", dict)
    failures = take(step, "failures", int)
    # Until schema_version 4 they were not kept.
    repeats: dict[str, Any] = take(step, TIMES, dict) if TIMES in step else {}
    return Measured(
        goodput=number(step.get("goodput"), "goodput"),
        repeats={
            "goodput": each(take(step, "goodput_repeats", list), "goodput_repeats"),
            **{name: each(take(repeats, name, list), TIMES) if name in repeats else () for name in PERCENTILES},
        },
        times={name: None if times.get(name) is None else number(times[name], name) for name in PERCENTILES},
        failures=Failures(failures, failures + take(step, "pages", int), reasons),
    )


def each(values: Sequence[object], key: str) -> tuple[float, ...]:
    return tuple(number(value, key) for value in values)


def take(source: Any, key: str, kind: type[T]) -> T:
    value = source.get(key) if isinstance(source, Mapping) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{key!r} is missing or not what it should be")
    return value


def number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LARGEST:
        raise ValueError(f"{key!r} is missing or not a number from 0 on")
    return float(value)
