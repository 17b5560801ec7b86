"""Puts the live page into a Locust process: what has users counts them, what has the web UI shows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtests.errors import BadInput
from loadtests.live import swarm, workers
from loadtests.live.blueprint import Page, blueprint, linked
from loadtests.live.collector import Collector
from loadtests.live.controls import Controls, listen
from loadtests.live.counts import PageCounts
from loadtests.model.target import Target


def attach(environment: Environment, targets: Mapping[str, Target], results: Path, runtime: str) -> None:
    """Attach the live page once the runner is there. `results`: where Save writes; `runtime`: 'docker' or 'process'."""
    listen(environment)
    if isinstance(environment.runner, WorkerRunner):
        workers.report(environment, PageCounts(targets))
    elif environment.web_ui is not None:
        collector = Collector(environment, Controls(environment), targets)
        gevent.spawn(collector.run)
        show(environment, collector, results, runtime)


def show(environment: Environment, collector: Collector, results: Path, runtime: str) -> None:
    web_ui: Any = environment.web_ui
    replace_routes(web_ui, collector.controls)
    base = getattr(environment.parsed_options, "web_base_path", "") or ""
    logged_in = web_ui.auth_required_if_enabled(lambda: None)
    web_ui.app.register_blueprint(blueprint(Page(collector, results, runtime, base), base, logged_in))

    @web_ui.app.after_request  # type: ignore[untyped-decorator]
    def add_link(response: Response) -> Response:
        if request.path in {f"{base}/", base} and response.status_code == 200 and response.mimetype == "text/html":
            response.set_data(linked(response.get_data(as_text=True), base))
        return response


def replace_routes(web_ui: Any, controls: Controls) -> None:
    """Replace Locust's views, which set any option, file, address or attribute that a request names."""

    def start() -> ResponseReturnValue:
        now = controls.requested
        if not controls.running:
            now = dataclasses.replace(now, targets=controls.targets)
        try:
            asked = swarm.read(request.form.to_dict(flat=False), now, controls.classes, controls.strategies)
            controls.swarm(asked)
        except BadInput as error:
            return jsonify(success=False, message=f"{str(error).rstrip('.')}.")
        loaded = sorted(name for name, target in controls.classes.items() if target.name in asked.targets)
        more = {} if asked.run_time is None else {"run_time": asked.run_time}
        return jsonify(success=True, message="Swarming started", host=None, user_classes=loaded, **more)

    def stop() -> ResponseReturnValue:
        controls.stop()
        return jsonify(success=True, message="Test stopped")

    def user() -> ResponseReturnValue:
        sentence = (
            "A target's user has nothing to be set. Choose the targets, and turn the knobs, in the form or on /compare."
        )
        return jsonify(success=False, message=sentence), 400

    for endpoint, view in (("swarm", start), ("stop", stop), ("update_user", user)):
        web_ui.app.view_functions[f"locust.{endpoint}"] = web_ui.auth_required_if_enabled(view)
