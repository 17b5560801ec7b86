"""Read what Locust's own form asks for: what the lab offers, and nothing that names a file or an address. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.errors import BadInput
from loadtests.live.requested import RequestedLoad, load_of
from loadtests.model import knobs
from loadtests.model.knobs import Knob
from loadtests.model.target import Target

SPAWN_RATE = Knob("spawn_rate", 0.01, knobs.MOST_USERS, "users that come in a second")
RUN_TIME = re.compile(r"(?=.)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s?)?", re.ASCII)  # 20, 20s, 3m, 1h20m
SPLIT_NUMBER = re.compile(r"(?<=\d)_(?=\d)")  # Locust's form sends latency_p9_9 for latency_p99
OFFERED = ("user_count", "spawn_rate", "run_time", "user_classes", "strategy", *(knob.name for knob in knobs.KNOBS))


@dataclass(frozen=True, slots=True)
class Swarm:
    """`users`: of all targets together; `spawn_rate`: per second; `run_time`: seconds, None for no limit."""

    users: int
    spawn_rate: float
    run_time: int | None
    targets: tuple[str, ...]
    values: Mapping[str, Any]  # of the strategy and the knobs, by name


def read(
    form: Mapping[str, Sequence[str]], now: RequestedLoad, classes: Mapping[str, Target], strategies: Sequence[str]
) -> Swarm:
    """Read the form's texts by field. Raises BadInput.

    `now`: what a field that is missing stays at; `classes`: targets by user class.
    """
    form = {SPLIT_NUMBER.sub("", field): texts for field, texts in form.items()}
    # Fields that the form has and the lab does not use: the form sends them as it found them.
    unused = {"host": {"", *(target.url for target in classes.values())}, "shape_class": {"Default"}, "profile": {""}}
    for field, texts in form.items():
        if field in OFFERED or (field in unused and unused[field].issuperset(texts)):
            continue
        raise BadInput(
            f"{field[:80].upper()} cannot be set here; it is {' '.join(texts)[:80]!r}. The form takes "
            f"{', '.join(OFFERED)}. Targets and their addresses stand in compose.yaml"
        )
    text = {field: texts[0].strip() for field, texts in form.items()}
    targets = list(now.targets)
    if names := form.get("user_classes"):
        if unknown := [name for name in names if name not in classes]:
            raise BadInput(f"USER_CLASSES must be one or more of {', '.join(classes)}; it has {unknown[0][:80]!r}")
        targets = [classes[name].name for name in names]
    known = [target.name for target in classes.values()]
    load = load_of({**now.values, **text, "targets": targets}, known, strategies)
    user_count = Knob("user_count", 1, knobs.MOST_USERS * len(load.targets), "users of all targets", whole=True)
    return Swarm(
        users=int(user_count.parse(text.get("user_count", ""))),
        spawn_rate=SPAWN_RATE.parse(text.get("spawn_rate", "")),
        run_time=seconds(text.get("run_time", "")),
        targets=load.targets,
        values=load.values,
    )


def seconds(text: str) -> int | None:
    if not text:
        return None
    match = RUN_TIME.fullmatch(text)
    if match is None:
        raise BadInput(f"RUN_TIME must be a time such as 20, 20s, 3m or 1h20m; it is {text[:80]!r}")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + rest
