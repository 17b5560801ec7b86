"""What a person asks for on the page, checked: all of it holds, or nothing is changed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.errors import BadInput
from loadtests.model import knobs
from loadtests.model.knobs import Knob
from loadtests.model.settings import Settings

USERS = Knob("users", 1, knobs.MOST_USERS, "users of each target", whole=True)


IN_WORDS = {"parallel": "calls side by side", "sequential": "calls one after the other"}


class BadField(BadInput):
    """`field`: the control whose value is refused."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True, slots=True)
class RequestedLoad:
    """`users` are those of each of the `targets`."""

    users: int
    targets: tuple[str, ...]
    strategy: str
    settings: Settings

    @property
    def all_users(self) -> int:
        return self.users * len(self.targets)

    @property
    def values(self) -> dict[str, Any]:
        """Return the values by the names of the controls."""
        return {"users": self.users, "targets": list(self.targets), "strategy": self.strategy, **asdict(self.settings)}


def read(said: object, targets: Collection[str], strategies: Collection[str]) -> RequestedLoad:
    """Read what the page sends: texts and numbers by the names of its controls. Raises BadField."""
    if not isinstance(said, Mapping):
        raise BadField("", "What was sent is not a set of controls.")
    try:
        return load_of(said, targets, strategies)
    except BadInput as error:
        variable = str(error).replace("=", " ").partition(" ")[0]
        raise BadField(variable.lower(), f"{error}.") from None


def load_of(said: Mapping[str, Any], targets: Collection[str], strategies: Collection[str]) -> RequestedLoad:
    """Return the load, its targets in the order of the lab. Raises BadInput, which begins with a control's variable."""
    texts = {name: str(value).strip() for name, value in said.items()}
    values: dict[str, Any] = {knob.name: knob.parse(texts.get(knob.name, "")) for knob in (USERS, *knobs.KNOBS)}
    asked, strategy = said.get("targets"), texts.get("strategy", "")
    if not isinstance(asked, list) or not asked or not all(name in targets for name in asked):
        raise BadInput(f"TARGETS must be one or more of {', '.join(targets)}")
    knobs.check_strategy(strategy, strategies)
    chosen = tuple(name for name in targets if name in asked)
    return RequestedLoad(values.pop("users"), chosen, strategy, Settings(**values))


def changes(before: RequestedLoad, after: RequestedLoad) -> list[str]:
    """Return what was turned, for the marks on the time axis: 'latency 0.5'."""
    found = []
    if before.targets != after.targets:
        found.append(" and ".join(after.targets))
    old, new = before.values, after.values
    for name in ("users", "strategy", *(knob.name for knob in knobs.KNOBS)):
        if name == "strategy" and old[name] != new[name]:
            found.append(IN_WORDS.get(new[name], new[name].replace("_", " ")))
        elif old[name] != new[name]:
            found.append(f"{name.replace('_', ' ')} {new[name]:g}")
    return found
