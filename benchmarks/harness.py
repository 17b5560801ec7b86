"""The load generator alone, in a process of its own: python -m benchmarks.harness KIND URL USERS WARM_UP SECONDS.

`page` is the lab's user with its page check and recorder; `bare` asks for the same URL and looks at nothing; a number:
so many load generators share the users (GENERATORS=).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import gevent
import psutil
from locust import FastHttpUser, task
from locust.env import Environment

from benchmarks.peers.instant import FAN_OUT
from loadtests.generator.crew import Crew
from loadtests.generator.record import Recorder
from loadtests.generator.users import user_class
from loadtests.host.processes import free_port
from loadtests.model.experiment import Arm
from loadtests.model.load_level import LoadLevel
from loadtests.model.measurement import Measurement
from loadtests.model.settings import Settings
from loadtests.model.target import Target
from services.telemetry.supervise import cpu_seconds

STRATEGY = "gather"
SETTINGS = Settings(fan_out=FAN_OUT, latency=1.0, jitter=0.0, fail=0.0)
PATH = "/api/aggregated/"


def main() -> None:
    kind, url, users, warm_up, seconds = sys.argv[1:]
    target = Target("asgi", url, "ASGI", None, {STRATEGY: PATH}, workers=1, pools={}, identity={})
    if kind.isdigit():
        print(json.dumps(shared(int(kind), target, int(users), float(warm_up), float(seconds))))
        return

    class BareUser(FastHttpUser):
        host = url

        @task
        def page(self) -> None:
            self.client.get(f"{PATH}?{SETTINGS.query}", name="bare")

    recorder = Recorder()
    environment = Environment(
        user_classes=[user_class(target, recorder=recorder) if kind == "page" else BareUser],
        parsed_options=Namespace(strategy=STRATEGY, **asdict(SETTINGS)),
    )
    runner, process = environment.create_local_runner(), psutil.Process()
    runner.start(int(users), spawn_rate=int(users))
    gevent.sleep(float(warm_up))
    total = environment.stats.total  # a new one, since the start
    asked, cpu = total.num_requests, cpu_seconds(process)
    recorder.open()
    gevent.sleep(float(seconds))
    pages, cpu = total.num_requests - asked, cpu_seconds(process) - cpu
    recorder.close()
    failures, recorded = total.num_failures, len(recorder.ends)
    runner.quit()
    if failures or not pages or (kind == "page" and abs(recorded - pages) > int(users)):
        sys.exit(f"{failures} of {pages} pages failed, {recorded} were recorded: {recorder.failures}")
    print(json.dumps({"pages": pages, "cpu": cpu, "seconds": recorder.seconds}))


def shared(number: int, target: Target, users: int, warm_up: float, seconds: float) -> dict[str, float]:
    """Return what so many load generators do together, and the CPU that they take. Raises LabDown."""
    address = f"127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "GENERATORS_ADDRESS": address,
        "MASTER": f"tcp://{address}",
        "GENERATOR_TOKEN": "bench",
    }
    command = [sys.executable, "-m", "loadtests", "assist"]
    workers = [subprocess.Popen(command, env=environment, stdout=sys.stderr) for _ in range(number)]
    try:
        crew = Crew(number, Path(os.devnull), environment)
        crew.gather(gevent.sleep, lambda _: None)
        level = LoadLevel(users=users)
        measurement = Measurement(Arm(target.name, STRATEGY), level, SETTINGS, 0, warm_up, seconds, turn=0.0)
        part = crew.part(target, None, measurement)
        part.start()
        while part.starting:
            gevent.sleep(0.01)
        part.begin()
        gevent.sleep(warm_up)
        part.open()
        gevent.sleep(seconds)
        part.close()
        pages, length = len(part.recorder.ends), part.recorder.seconds
        part.quit()
        crew.quit()
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()
    if faults := [*crew.workers.faults, *part.recorder.failures]:
        sys.exit("; ".join(faults[:3]))
    return {"pages": pages, "cpu": sum(one.cpu * one.seconds for one in part.beside), "seconds": length}


if __name__ == "__main__":
    main()
