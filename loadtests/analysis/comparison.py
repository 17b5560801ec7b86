"""What two runs of one question differ in: their manifests, and their figures beyond the noise or not. Pure."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from loadtests.analysis import noise
from loadtests.errors import BadInput
from loadtests.model.experiment import arm_words
from loadtests.model.load_level import LoadLevel

T = TypeVar("T")

BEYOND = "beyond the noise"
ABOVE = "above the floor"  # without repeats on both sides nobody knows the noise
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


class Measured(NamedTuple):
    """`figures`: goodput in pages/s and percentiles in seconds, None of too few pages, each with its repeats.

    `failed`: answers that were not a whole page, of how many, over all repeats.
    """

    figures: Mapping[str, tuple[float | None, Sequence[float]]]
    failed: int
    answers: int
    reasons: Mapping[str, int]


class Run(NamedTuple):
    """What of a summary is compared. `noise_floor` is a share, None when no noise was measured.

    `why_not`: why its figures are not to be compared, None if they are.
    """

    schema_version: int
    experiment: str
    status: str
    why_not: str | None
    noise_floor: float | None
    manifest: Mapping[str, str]
    steps: Mapping[Place, Measured]


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
    repeats: tuple[Sequence[float], Sequence[float]]
    p: float | None = None

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
            return "not comparable"
        if abs(self.change) <= self.floor:
            return "no difference"
        if self.p is None:
            return ABOVE
        return BEYOND if self.p <= noise.SIGNIFICANT else "within the noise"

    @property
    def changed(self) -> bool:
        return self.verdict in {BEYOND, ABOVE}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`changes`: key, before, after. `only`: the places that A alone and that B alone has. `floor` is a share."""

    changes: Sequence[tuple[str, str, str]]
    figures: Sequence[Figure]
    failures: Sequence[tuple[Place, Measured, Measured]]
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
    floors = [run.noise_floor for run in (a, b) if run.noise_floor is not None]
    floor = max(floors, default=noise.FLOOR)
    both = [(place, before, b.steps[place]) for place, before in a.steps.items() if place in b.steps]
    return Comparison(
        changes(a.manifest, b.manifest),
        tested([figure for places in both for figure in figures(*places, floor)]),
        [
            (place, before, after)
            for place, before, after in both
            if (before.failed, before.reasons) != (after.failed, after.reasons)
        ],
        ([place for place in a.steps if place not in b.steps], [place for place in b.steps if place not in a.steps]),
        floor,
        floor_measured=bool(floors),
    )


def figures(place: Place, a: Measured, b: Measured, floor: float) -> Iterator[Figure]:
    for name, (before, repeats) in a.figures.items():
        after, repeats_after = b.figures[name]
        if before is not None or after is not None:
            yield Figure(place, name, before, after, floor, (repeats, repeats_after))


def tested(figures: list[Figure]) -> list[Figure]:
    """Return the figures with their `p`: Welch's t, since three repeats are too few for a test by ranks, which cannot
    go below 0.1 there; corrected by Y. Benjamini and Y. Hochberg (1995).
    """
    spread = [figure.repeats for figure in figures if figure.has_spread]
    if not spread:
        return figures
    from scipy import stats  # noqa: PLC0415  # the system's Python lacks it, and can compare what has no repeats

    from loadtests.analysis import uncertainty  # noqa: PLC0415  # likewise

    corrected = iter(stats.false_discovery_control([uncertainty.difference(*repeats).p for repeats in spread]))
    return [replace(figure, p=float(next(corrected))) if figure.has_spread else figure for figure in figures]


def changes(a: Mapping[str, str], b: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return what differs between two flat manifests: key, before, after."""
    order = {group: index for index, group in enumerate(FIRST)}
    keys = sorted({*a, *b}, key=lambda key: (order.get(key.partition(".")[0], len(FIRST)), key))
    values = ((key, a.get(key, "not there"), b.get(key, "not there")) for key in keys)
    return [(key, before, after) for key, before, after in values if before != after]


def flat(value: Any, *path: str) -> dict[str, str]:
    """Return the manifest with dotted keys, without what differs between any two runs."""
    if isinstance(value, str) and path[0] == "services" and path[-1] == "command":
        value = options(value)
    if not isinstance(value, Mapping):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return {} if path in IGNORED else {".".join(path): text}
    leaves: dict[str, str] = {}
    for key, inner in value.items():
        if key not in IGNORED_LEAVES:
            leaves |= flat(inner, *path, key)
    return leaves


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
    verdict = take(summary, "verdict", dict)
    status, sentence = take(verdict, "status", str), take(verdict, "sentence", str)
    why_not = f"INVALID: {sentence}" if status == "invalid" else None
    if not take(summary, "complete", bool):
        why_not = f"INCOMPLETE: {sentence.removeprefix('Incomplete, ')}"
    return Run(
        take(summary, "schema_version", int),
        take(summary, "experiment", str),
        status,
        why_not,
        optional(summary, "noise_floor"),
        flat(take(summary, "manifest", dict)),
        dict(places(take(summary, "arms", list))),
    )


def places(arms: Sequence[Any]) -> Iterator[tuple[Place, Measured]]:
    """Yield each arm at each load; an arm that is there twice, as in a target against itself, is numbered."""
    seen: Counter[str] = Counter()
    for arm in arms:
        name = arm_words(take(arm, "target", str), take(arm, "strategy", str))
        seen[name] += 1
        label = name if seen[name] == 1 else f"{name} ({seen[name]})"
        for step in take(arm, "steps", list):
            if not isinstance(step, Mapping):
                raise ValueError("a step is not an object")  # noqa: TRY004  # of a file's content, not of an argument
            # Until schema_version 2 a step had no name, and was a number of users.
            unnamed = "name" not in step and isinstance(step.get("users"), int)
            yield Place(label, LoadLevel(step["users"]).name if unnamed else take(step, "name", str)), measured(step)


def measured(step: Mapping[str, Any]) -> Measured:
    times, failed = take(step, "response_time", dict), take(step, "failures", int)
    repeats = take(step, TIMES, dict) if TIMES in step else {}  # until schema_version 4 they were not kept
    goodputs = [number(value, "goodput_repeats") for value in take(step, "goodput_repeats", list)]
    figures: dict[str, tuple[float | None, Sequence[float]]] = {}
    figures["goodput"] = (number(step.get("goodput"), "goodput"), goodputs)
    for name in ("p50", "p95", "p99"):
        of_name = take(repeats, name, list) if name in repeats else []
        figures[name] = (optional(times, name), [number(value, TIMES) for value in of_name])
    return Measured(figures, failed, failed + take(step, "pages", int), take(step, "failure_reasons", dict))


def take(source: Any, key: str, kind: type[T]) -> T:
    value = source.get(key) if isinstance(source, Mapping) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{key!r} is missing or not what it should be")
    return value


def optional(source: Mapping[str, Any], key: str) -> float | None:
    return None if source.get(key) is None else number(source[key], key)


def number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LARGEST:
        raise ValueError(f"{key!r} is missing or not a number from 0 on")
    return float(value)
