"""What the Locust web UI loads: a user class for each target, and a field for each knob."""

from __future__ import annotations

import os
from typing import Any

from flask import Response, jsonify, request
from locust import events, stats

from loadtests import knobs, targets, users
from loadtests.errors import BadInput, LabError

# Locust buckets 1,000–9,999 ms by 100 ms, which hides what the lab shows. One key per millisecond.
stats.bucket_response_time = round

try:
    for name, url in targets.urls(os.environ["TARGETS"]).items():
        user = users.user_class(targets.ask(name, url))
        globals()[user.__name__] = user
except LabError as error:
    raise SystemExit(f"locust: {error}") from None


@events.init_command_line_parser.add_listener
def add_knobs(parser: Any) -> None:
    parser.add_argument(
        "--strategy",
        choices=knobs.STRATEGIES,
        default=os.environ["STRATEGY"],
        help="how a page makes its calls; parallel: threadpool under WSGI, gather under ASGI",
    )
    for knob in knobs.KNOBS:
        parser.add_argument(
            f"--{knob.name.replace('_', '-')}",
            type=int if knob.whole else float,
            default=knob.parse(os.environ[knob.variable]),
            help=f"{knob.help} ({knob.minimum:g}–{knob.maximum:g})",
        )


@events.init.add_listener
def add_routes(environment: Any, **_: Any) -> None:
    if environment.web_ui is None:
        return
    app = environment.web_ui.app

    @app.route("/healthz")  # type: ignore[untyped-decorator]
    def health() -> Response:
        return jsonify(status="ok", service="locust")

    @app.before_request  # type: ignore[untyped-decorator]
    def refuse_bad_knobs() -> Response | None:
        """Before Locust takes the values over: it checks neither bounds nor choices."""
        if request.path != "/swarm":
            return None
        try:
            for knob in knobs.KNOBS:
                if knob.name in request.form:
                    knob.parse(request.form[knob.name])
            strategy = request.form.get("strategy", knobs.STRATEGIES[0])
            if strategy not in knobs.STRATEGIES:
                raise BadInput(f"STRATEGY must be one of {', '.join(knobs.STRATEGIES)}; it is {strategy[:80]!r}")
        except BadInput as error:
            return jsonify(success=False, message=str(error))
        return None
