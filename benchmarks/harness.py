"""The load generator alone, in a process of its own: python -m benchmarks.harness page|bare URL USERS WARM_UP SECONDS.

`page` is the lab's user with its page check and recorder; `bare` asks for the same URL and looks at nothing.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import asdict

import gevent
import psutil
from locust import FastHttpUser, task
from locust.env import Environment

from benchmarks.peers.instant import FAN_OUT
from loadtests.generator.record import Recorder
from loadtests.generator.users import user_class
from loadtests.model.settings import Settings
from loadtests.model.target import Target
from services.telemetry.supervise import cpu_seconds

STRATEGY = "gather"
SETTINGS = Settings(fan_out=FAN_OUT, latency=1.0, jitter=0.0, fail=0.0)
PATH = "/api/aggregated/"


def main() -> None:
    kind, url, users, warm_up, seconds = sys.argv[1:]

    class BareUser(FastHttpUser):
        host = url

        @task
        def page(self) -> None:
            self.client.get(f"{PATH}?{SETTINGS.query}", name="bare")

    target = Target("asgi", url, "ASGI", None, {STRATEGY: PATH}, workers=1, pools={}, identity={})
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


if __name__ == "__main__":
    main()
