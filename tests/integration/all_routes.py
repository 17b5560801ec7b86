"""A second locustfile, for the test that walks every route of the web UI: it lists them."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify
from locust import events


@events.init.add_listener  # type: ignore[untyped-decorator]
def list_routes(environment: Any, **_: Any) -> None:
    app = environment.web_ui.app

    @app.get("/all-routes")  # type: ignore[untyped-decorator]
    def all_routes() -> Response:
        rules = app.url_map.iter_rules()
        return jsonify([[rule.rule, sorted(rule.methods)] for rule in rules])
