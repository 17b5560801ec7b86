"""Pages over a network that takes its time: `unshare --net python -m tests.integration.far_network`.

In that namespace a tun device gives every packet to this process, which sends it back after a delay with source and
destination exchanged; the checksums stay right. So who connects to FAR reaches a server of the same namespace, from far
away. Prints what the load generator measures of the network, and how long pages took and were predicted to take.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Thread, Timer

import httpx

from loadtests.analysis import capacity
from loadtests.generator import targets
from loadtests.host import topology
from loadtests.model.load_level import LoadLevel
from loadtests.model.settings import Settings
from loadtests.results import summary
from tests.integration.waiting import wait_until

HERE, FAR = "192.168.77.1", "192.168.77.2"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
WAY = 0.05  # seconds in one direction
PAGES = Settings(fan_out=5, latency=0.1, jitter=0.0, fail=0.0)
API, ASGI = 8010, 8020


def tun(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    for words in (f"address add {HERE}/24 dev {name}", f"link set {name} up", "link set lo up"):
        subprocess.run(["ip", *words.split()], check=True)  # noqa: S607
    return device


def reflect(device: int) -> None:
    while True:
        packet = os.read(device, 65536)
        Timer(WAY, os.write, (device, packet[:12] + packet[16:20] + packet[12:16] + packet[20:])).start()


def server(service: str, port: int) -> subprocess.Popen[bytes]:
    described = topology.services({})[service]
    command = [sys.executable, *(word.replace("=8000", f"={port}") for word in described.command[1:])]
    addresses = {"API_URL": f"http://{FAR}:{API}/api/", "TELEMETRY_ADDRESS": f"127.0.0.1:{port + 1}"}
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    started = subprocess.Popen(command, env={**os.environ, **path, **described.environment, **addresses})
    wait_until(lambda: targets.round_trip(f"http://127.0.0.1:{port}"))
    return started


def page(client: httpx.Client, path: str) -> float:
    """The seconds that a page takes; the first one also opens the connections."""
    began = time.perf_counter()
    client.get(path, params={"fan_out": PAGES.fan_out, "latency": PAGES.latency}).raise_for_status()
    return time.perf_counter() - began


def main() -> None:
    Thread(target=reflect, args=(tun("far"),), daemon=True).start()
    with ExitStack() as ends:
        for service, port in (("api", API), ("asgi", ASGI)):
            ends.callback(ends.enter_context(server(service, port)).terminate)
        target = targets.ask("asgi", f"http://{FAR}:{ASGI}")
        client = ends.enter_context(httpx.Client(base_url=target.url, timeout=30, trust_env=False))
        found = {"round_trip": target.round_trip, "api_round_trip": target.api_round_trip}
        deployment = summary.deployment(target, {})
        for strategy in ("sequential", "gather"):
            found[strategy] = min(page(client, target.paths[strategy]) for _ in range(5))
            predicted = capacity.predict(PAGES, strategy, deployment, LoadLevel(users=1))
            near = capacity.predict(
                PAGES, strategy, replace(deployment, round_trip=0, api_round_trip=0), LoadLevel(users=1)
            )
            found |= {f"{strategy} predicted": predicted.page_time, f"{strategy} without a network": near.page_time}
        print(json.dumps(found))


if __name__ == "__main__":
    main()
