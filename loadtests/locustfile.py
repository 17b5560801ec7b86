"""What the Locust web UI loads: a user class for each target, and a field for each knob."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from flask import Response, jsonify
from locust import events, stats

from loadtests.errors import LabError
from loadtests.generator import own, targets, users
from loadtests.live.attach import attach
from loadtests.live.guard import guard
from loadtests.live.login import Login, protect
from loadtests.live.origins import TRUSTED, Origins
from loadtests.live.server import bound
from loadtests.model import knobs
from loadtests.model.addresses import urls
from loadtests.model.knobs import LOGIN
from loadtests.model.settings import Settings


def whole_milliseconds(response_time: float) -> int:
    """Round to 1 ms: Locust's own buckets are 100 ms wide from 1,000 ms on, which would hide what the lab shows."""
    return round(response_time)


stats.bucket_response_time = whole_milliseconds

try:
    # Locust takes every user class that it finds among this module's names.
    project = own.project_at(Path(os.environ["PAGES"])) if os.environ.get("PAGES") else None
    found = [
        targets.ask(name, url, project.paths if project else None) for name, url in urls(os.environ["TARGETS"]).items()
    ]
    ALONE = {}  # values of knobs that describe a page of a project
    if project:
        waits = [own.alone(target, project)[0] for target in found]
        ALONE = {"fan_out": 1, "latency": round(fmean(waits), 3)}
        found = [replace(target, paths={"pages": "/", **dict.fromkeys(project.names, "/")}) for target in found]
    classes = [own.user_class(target, project) if project else users.user_class(target) for target in found]
    globals().update({user.__name__: user for user in classes})
    login = Login.parse(os.environ[LOGIN])
    origins = Origins.parse(os.environ[TRUSTED], os.environ["PUBLISHED_PORT"])
    STRATEGIES = knobs.strategies(found[0].paths)  # one Django project: the same at every target
    knobs.check_strategy(os.environ["STRATEGY"], STRATEGIES)  # argparse compares no default with its choices
    DEFAULTS = asdict(Settings.parse({knob.name: os.environ[knob.variable] for knob in knobs.KNOBS})) | ALONE
except LabError as error:
    raise SystemExit(f"locust: {error}") from None

if login:
    os.environ["LOCUST_WEB_LOGIN"] = "true"  # Locust reads its options after this file


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_knobs(parser: Any) -> None:
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default=os.environ["STRATEGY"],
        help="how a page makes its calls; parallel: threadpool under WSGI, gather under ASGI",
    )
    for knob in knobs.KNOBS:
        parser.add_argument(
            f"--{knob.name.replace('_', '-')}",
            type=int if knob.whole else float,
            default=DEFAULTS[knob.name],
            help=f"{knob.help} ({knob.minimum:g}–{knob.maximum:g})",
        )


@events.init.add_listener  # type: ignore[untyped-decorator]
def add_routes(environment: Any, **_: Any) -> None:
    attach(
        environment,
        {target.name: target for target in found},
        Path(os.environ["SAVE_TO"]),
        os.environ["LAB_RUNTIME"],
    )
    if environment.web_ui is None:
        return
    if login:
        protect(environment.web_ui, login)
    app = environment.web_ui.app
    guard(app, origins)
    bound(environment.web_ui)
    base = environment.parsed_options.web_base_path or ""
    print(f"Open http://127.0.0.1:{os.environ['PUBLISHED_PORT']}{base}/compare and press Start.", flush=True)

    @app.route("/healthz")  # type: ignore[untyped-decorator]
    def health() -> Response:
        return jsonify(status="ok", service="locust")
