"""How far away a target is, as the load generator measures it before a run."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.generator import targets
from loadtests.host.processes import free_port
from tests.integration import far_network
from tests.integration.far_network import PAGES, WAY

NAMESPACE = ["unshare", "--net"] if not os.getuid() else ["unshare", "--user", "--map-root-user", "--net"]


def test_the_round_trip_is_the_networks_also_where_the_server_is_busy() -> None:
    """Nobody accepts these connections: what answers is the kernel."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as busy:
        assert 0 < targets.round_trip(f"http://127.0.0.1:{busy.getsockname()[1]}") < 1


def test_where_nobody_listens_there_is_no_round_trip() -> None:
    assert targets.round_trip(f"http://127.0.0.1:{free_port()}") == 0


@pytest.mark.slow
def test_a_page_takes_as_long_as_is_predicted_with_a_network_that_was_measured_before(root: Path) -> None:
    usable = all(map(shutil.which, ("unshare", "ip")))
    if not usable or subprocess.run([*NAMESPACE, "test", "-c", "/dev/net/tun"], check=False).returncode:
        pytest.skip("no network namespace with a tun device can be made here")
    command = [*NAMESPACE, sys.executable, "-m", far_network.__name__]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert not ended.returncode, ended.stderr
    found = json.loads(ended.stdout)
    assert min(found["round_trip"], found["api_round_trip"]) >= 2 * WAY
    # A round trip for the user, and one for each call or for all of them.
    for strategy, trips in (("sequential", 1 + PAGES.fan_out), ("gather", 2)):
        assert found[strategy] >= found[f"{strategy} without a network"] + trips * 2 * WAY
        assert found[f"{strategy} predicted"] == pytest.approx(found[strategy], rel=0.5)
        assert found[f"{strategy} predicted"] >= found[f"{strategy} without a network"] + trips * 2 * WAY
