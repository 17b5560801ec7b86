"""Puts the live page into a Locust process: what has users counts them, what has the web UI shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
from flask import Response, request
from locust.env import Environment

from loadtests.live import controls, routes, workers
from loadtests.live.blueprint import Page, blueprint, linked
from loadtests.live.collector import Collector
from loadtests.live.counts import PageCounts
from loadtests.model.target import Target


def attach(
    environment: Environment,
    targets: Mapping[str, Target],
    results: Path,
    runtime: str,
) -> None:
    """Attach the live page once the runner is there. `results`: where Save writes; `runtime`: 'docker' or 'process'."""
    controls.listen(environment)
    if controls.is_worker(environment):
        workers.Worker(environment, PageCounts(targets))
    elif environment.web_ui is not None:
        collector = Collector(environment, controls.Controls(environment), targets)
        gevent.spawn(collector.run)
        show(environment, collector, results, runtime)


def show(environment: Environment, collector: Collector, results: Path, runtime: str) -> None:
    web_ui: Any = environment.web_ui
    routes.replace(web_ui, collector.controls)
    base = getattr(environment.parsed_options, "web_base_path", "") or ""
    logged_in = web_ui.auth_required_if_enabled(lambda: None)
    web_ui.app.register_blueprint(blueprint(Page(collector, results, runtime, base), base, logged_in))

    @web_ui.app.after_request  # type: ignore[untyped-decorator]
    def add_link(response: Response) -> Response:
        if request.path in {f"{base}/", base} and response.status_code == 200 and response.mimetype == "text/html":
            response.set_data(linked(response.get_data(as_text=True), base))
        return response
