"""Says what a server does that runs in an image of somebody's own: `python -m services.telemetry.beside`.

A container of its own that shares the processes and the network of the image, of which nothing is needed. It is another
user than the server's, and so it does not see which memory pages the server's processes share. Nothing is counted
inside the server.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import psutil

from services import env, target
from services.telemetry import scrape
from services.telemetry.control_group import ControlGroup, group_of
from services.telemetry.supervise import ServerTree

FIRST = 1  # the id of the image's first process
PORT = 8000  # that its server has to listen at
LOOK = 0.2  # seconds between two looks whether it does
PATIENCE = 100  # looks until somebody is told what is waited for
CGROUPS = Path("/cgroup")


def identity() -> bytes:
    """Describe the deployment as the lab's own services do, as far as it can be seen from here."""
    described = {
        **target.OWN,
        "api": env.text("LAB_UPSTREAMS"),
        "metrics_port": int(env.text("TELEMETRY_ADDRESS").rpartition(":")[2]),
        "project": {"image": env.text("IMAGE")},
    }
    return json.dumps(described).encode()


async def main() -> None:
    """Wait for the server, then say what it does, until the container ends."""
    await listening()
    await scrape.serve(identity, env.text("IDENTITY_ADDRESS"))
    server = ServerTree(psutil.Process(FIRST), ports=[PORT])
    await scrape.serve_metrics(server, ControlGroup(CGROUPS, group_of(FIRST)))
    await asyncio.Event().wait()


async def listening() -> None:
    """Return when the server can be reached from outside of its container."""
    for look in count(1):
        with suppress(OSError):
            _, writer = await asyncio.open_connection(socket.gethostname(), PORT)
            writer.close()
            return
        await asyncio.sleep(LOOK)
        if look == PATIENCE:
            why = f"nothing listens at 0.0.0.0:{PORT} in the image: does its entrypoint run the command it is given?"
            print(why, file=sys.stderr, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
