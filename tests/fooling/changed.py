"""The lab with one of its files changed: a copy of it, which then runs as anybody's would."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.runs import ROOT, Ended, Lab

WHAT_RUNS = ("services", "loadtests", "requirements", "compose", "compose.yaml", "pyproject.toml")
SMALL = ("run", "--runtime=process", "--quick", "--users=5", "--latency=0.2")


class ChangedLab(Lab):
    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        super().__init__(environment, folder / "results", root=folder / "lab")
        for name in WHAT_RUNS:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            self.root.mkdir(exist_ok=True)
            copy(ROOT / name, self.root / name)

    def change(self, file: str, before: str, after: str) -> None:
        path = self.root / file
        text = path.read_text()
        assert text.count(before) == 1, f"{file} does not hold it once"
        path.write_text(text.replace(before, after))

    def measure(self, *words: str, **variables: str) -> Ended:
        return self.run(*SMALL, *words, **variables)


def failed(ended: Ended, target: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """The checks that failed, by name: of all measurements, or of those of one target."""
    found: dict[str, list[dict[str, Any]]] = {}
    for check in ended.summary["checks"]:
        if not check["passed"] and (target is None or check["measurement"].startswith(f"{target}-")):
            found.setdefault(check["name"], []).append(check)
    return found
