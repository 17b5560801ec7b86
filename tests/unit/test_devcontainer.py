"""The devcontainer of a class: it runs what the README says, at the ports that it forwards."""

from __future__ import annotations

import json
from pathlib import Path


def test_it_measures_once_and_forwards_the_web_ui(root: Path) -> None:
    described = json.loads((root / ".devcontainer" / "devcontainer.json").read_text())
    assert described["postCreateCommand"] == "make loadtest RUNTIME=process QUICK=1"
    assert [described["containerEnv"]["LOCUST_PORT"]] == [str(port) for port in described["forwardPorts"]]
    installed = (root / ".devcontainer" / described["build"]["dockerfile"]).read_text()
    assert all(f" {name} " in installed for name in ("git", "make"))
