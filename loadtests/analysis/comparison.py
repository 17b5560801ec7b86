"""What two runs of one question differ in: their manifests, and their figures beyond the noise or not. Pure."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from loadtests.analysis import noise
from loadtests.errors import BadInput
from loadtests.model.experiment import arm_words
from loadtests.model.load_level import LoadLevel

T = TypeVar("T")

BEYOND = "beyond the noise"
ABOVE = "above the floor"  # without repeats on both sides nobody knows the noise
FIRST = ("runtime", "commit", "knobs", "services")  # of the manifest: what a person changes most
# When a run began, how it was typed and at which port: all else that these set stands elsewhere in the manifest.
IGNORED = re.compile(r"started|command|noise_floor|.*\.PUBLISHED_PORT")
PERCENTILES = ("p50", "p95", "p99")
TIMES = "response_time_repeats"
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


@dataclass(slots=True)
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
    repeats: Sequence[Sequence[float]]
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
        """Return the largest change, where halved is as much as doubled: of goodputs, or else of response times."""
        changed = [[figure for figure in group if figure.changed] for group in (self.goodputs, self.response_times)]
        return max(changed[0] or changed[1], key=lambda of: noise.relative(of.before or 0, of.after or 0), default=None)


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
        tested(list(figures(a, b, floor))),
        [one for one in both if (one[1].failed, one[1].reasons) != (one[2].failed, one[2].reasons)],
        ([place for place in a.steps if place not in b.steps], [place for place in b.steps if place not in a.steps]),
        floor,
        floor_measured=bool(floors),
    )


def figures(a: Run, b: Run, floor: float = noise.FLOOR) -> Iterator[Figure]:
    """Yield what was measured at the places that both runs have, not yet tested."""
    for place in (place for place in a.steps if place in b.steps):
        for name, (before, repeats) in a.steps[place].figures.items():
            after, repeats_after = b.steps[place].figures[name]
            if before is not None or after is not None:
                yield Figure(place, name, before, after, floor, (repeats, repeats_after))


def repeated(figures: Iterable[Figure]) -> list[Figure]:
    """Return the figures that can be tested: both runs have repeats."""
    return [figure for figure in figures if all(len(repeats) > 1 for repeats in figure.repeats)]


def tested(figures: Sequence[Figure]) -> Sequence[Figure]:
    """Return the figures with their `p`: Welch's t, since three repeats are too few for a test by ranks, which cannot
    go below 0.1 there; corrected by Y. Benjamini and Y. Hochberg (1995).
    """
    if spread := repeated(figures):
        from scipy import stats  # noqa: PLC0415  # the system's Python lacks it, and can compare what has no repeats

        from loadtests.analysis import uncertainty  # noqa: PLC0415  # likewise

        ps = stats.false_discovery_control([uncertainty.difference(*figure.repeats).p for figure in spread])
        for figure, p in zip(spread, ps, strict=True):
            figure.p = float(p)
    return figures


def changes(a: Mapping[str, str], b: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return what differs between two flat manifests: key, before, after."""
    order = {group: index for index, group in enumerate(FIRST)}
    keys = sorted({*a, *b}, key=lambda key: (order.get(key.partition(".")[0], len(FIRST)), key))
    return [(key, a.get(key, "not there"), b.get(key, "not there")) for key in keys if a.get(key) != b.get(key)]


def flat(value: Any, *path: str) -> dict[str, str]:
    """Return the manifest with dotted keys, without what differs between any two runs."""
    name = ".".join(path)
    if isinstance(value, str) and path[0] == "services" and path[-1] == "command":
        value = options(value)
    if isinstance(value, Mapping):
        return {key: text for inner in value for key, text in flat(value[inner], *path, inner).items()}
    if IGNORED.fullmatch(name):
        return {}
    return {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}


def options(command: str) -> dict[str, str]:
    """Return a command line by its options, so that one changed number is one changed key."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"\s+(?=-)", f"program {command}".strip()):
        name, *values = re.split(r"[=\s]+", part, maxsplit=1)
        found.setdefault(name, []).extend(filter(None, values))
    return {name: " ".join(values) or "given" for name, values in found.items()}


def parse(summary: object) -> Run:
    """Return the content of a summary.json. Raises ValueError, which names what is missing or wrong."""
    verdict = take(summary, "verdict", dict, "it")
    status, sentence = take(verdict, "status", str), take(verdict, "sentence", str)
    why_not = f"INVALID: {sentence}" if status == "invalid" else None
    if not take(summary, "complete", bool):
        why_not = f"INCOMPLETE: {sentence.removeprefix('Incomplete, ')}"
    steps: dict[Place, Measured] = {}
    seen: Counter[str] = Counter()  # an arm that is there twice, as in a target against itself, is numbered
    for arm in take(summary, "arms", list):
        name = arm_words(take(arm, "target", str), take(arm, "strategy", str))
        seen[name] += 1
        label = name if seen[name] == 1 else f"{name} ({seen[name]})"
        steps |= {Place(label, load(step)): measured(step) for step in take(arm, "steps", list)}
    return Run(
        take(summary, "schema_version", int),
        take(summary, "experiment", str),
        status,
        why_not,
        optional(summary, "noise_floor"),
        flat(take(summary, "manifest", dict)),
        steps,
    )


def load(step: Any) -> str:
    """Return the name of a step's load. Until schema_version 2 it had none, and was a number of users."""
    users = step.get("users") if isinstance(step, Mapping) and "name" not in step else None
    return LoadLevel(users).name if isinstance(users, int) else take(step, "name", str, "a step")


def measured(step: Mapping[str, Any]) -> Measured:
    times, failed = take(step, "response_time", dict), take(step, "failures", int)
    repeats = take(step, TIMES, dict) if TIMES in step else {}  # until schema_version 4 they were not kept
    figures: dict[str, tuple[float | None, Sequence[float]]] = {}
    figures["goodput"] = (number(step.get("goodput"), "goodput"), numbers(step, "goodput_repeats"))
    for name in ("p50", "p95", "p99"):
        figures[name] = (optional(times, name), numbers(repeats, name) if name in repeats else [])
    return Measured(figures, failed, failed + take(step, "pages", int), take(step, "failure_reasons", dict))


def take(source: Any, key: str, kind: type[T], what: str = "") -> T:
    """Return a value of this kind. Raises ValueError, which names the key, or `what` if that is no object."""
    if what and not isinstance(source, Mapping):
        raise ValueError(f"{what} is not an object")  # of a file's content, not of an argument
    value = source.get(key) if isinstance(source, Mapping) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{key!r} is missing or not what it should be")
    return value


def numbers(source: Mapping[str, Any], key: str) -> list[float]:
    return [number(value, key) for value in take(source, key, list)]


def optional(source: Any, key: str) -> float | None:
    return None if source.get(key) is None else number(source[key], key)


def number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LARGEST:
        raise ValueError(f"{key!r} is missing or not a number from 0 on")
    return float(value)
