"""Read compose.yaml and what it includes, as Compose does: variables, anchors, `include` and `extends`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests import ROOT
from loadtests.errors import BadInput
from loadtests.model.service import Service

FILE = ROOT / "compose.yaml"
VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\})")
REPLACED = {"command", "test"}  # lists that are not added to those of the service that is extended


def text() -> str:
    """Return compose.yaml and the files of compose/, one after the other."""
    return "\n".join(path.read_text(encoding="utf-8") for path in (FILE, *sorted((ROOT / "compose").glob("*.yaml"))))


def declared(topology: str) -> dict[str, str]:
    """Return the variables that Compose files read, with their defaults, in their order."""
    text = re.sub(r"(^|\s)#.*", "", topology, flags=re.MULTILINE)
    return {match["name"]: match["default"] for match in VARIABLE.finditer(text) if match["default"] is not None}


def services(variables: Mapping[str, str], file: Path = FILE) -> dict[str, Service]:
    """Return the services that a Compose file describes, with its variables filled in. Raises BadInput."""
    return {name: service(name, described, variables) for name, described in read(file).items()}


def service(name: str, described: Mapping[str, Any], variables: Mapping[str, str]) -> Service:
    """Return a service with its variables filled in. Raises BadInput."""

    def words(value: Any) -> list[str]:
        return [interpolate(str(word), variables) for word in value]

    command = described.get("command")
    if not isinstance(command, list):
        raise BadInput(f"compose.yaml: the command of {name} must be a list of words")
    environment, volumes = described.get("environment", {}), words(described.get("volumes", ()))
    return Service(
        name=name,
        command=words(command),
        environment={key: interpolate(str(value), variables) for key, value in environment.items()},
        probe=words(described["healthcheck"]["test"])[1:],
        ports=[container_port(port) for port in described.get("ports", ())],
        exposed=[int(port) for port in described.get("expose", ())],
        depends_on=required(described.get("depends_on", {})),
        cpus=interpolate(str(described["cpus"]), variables) if "cpus" in described else None,
        comes_first="cpu_shares" in described,
        volumes={inside: here for here, inside, *_ in (text.split(":") for text in volumes)},
    )


def required(depends_on: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what a service cannot do without; Compose starts the rest only if its profile is asked for."""
    return [name for name, how in depends_on.items() if how.get("required", True)]


def interpolate(value: str, variables: Mapping[str, str]) -> str:
    """Fill in `${NAME:-default}` and `${NAME}` as Compose does; `$$` is a dollar sign."""

    def replacement(match: re.Match[str]) -> str:
        return match["escaped"] or variables.get(match["name"]) or match["default"] or ""

    return VARIABLE.sub(replacement, value)


def container_port(port: str | Mapping[str, Any]) -> int:
    """Return the container's port from either way in which Compose lets a published port be written."""
    return int(port.rpartition(":")[2] if isinstance(port, str) else port["target"])


@dataclass(frozen=True, slots=True)
class Instead:
    """`!override` and `!reset`: a value in the place of that of the service that is extended."""

    value: Any


def read(file: Path) -> dict[str, dict[str, Any]]:
    """Return the services of a Compose file and of those that it includes, as they are described."""
    content = load(file)
    found = {name: extended(described, file) for name, described in content["services"].items()}
    for included in content.get("include", ()):
        found |= read(file.parent / included)
    return found


def load(file: Path) -> Any:
    import yaml  # noqa: PLC0415  # not on the system's Python, which runs the launcher

    class Loader(yaml.SafeLoader):
        pass

    def instead(loader: Loader, node: Any) -> Instead:
        if isinstance(node, yaml.SequenceNode):
            return Instead(loader.construct_sequence(node, deep=True))
        if isinstance(node, yaml.MappingNode):
            return Instead(loader.construct_mapping(node, deep=True))
        return Instead(None)

    Loader.add_constructor("!override", instead)
    Loader.add_constructor("!reset", instead)
    return yaml.load(file.read_text(encoding="utf-8"), Loader)  # noqa: S506  # a safe loader


def extended(described: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return the service with all that it has of the one that it extends."""
    own = {key: value for key, value in described.items() if key != "extends"}
    if "extends" not in described:
        return merged({}, own)
    other = file.parent / described["extends"]["file"]
    return merged(extended(load(other)["services"][described["extends"]["service"]], other), own)


def merged(parent: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings, add up lists, and take the service's own value of everything else."""
    result = dict(parent)
    for key, value in own.items():
        before = result.get(key)
        if isinstance(value, Instead) and value.value is None:
            result.pop(key, None)
        elif isinstance(value, Instead):
            result[key] = value.value
        elif isinstance(value, Mapping):
            result[key] = merged(before or {}, value)
        elif isinstance(value, list) and isinstance(before, list) and key not in REPLACED:
            result[key] = [*before, *value]
        else:
            result[key] = value
    return result
