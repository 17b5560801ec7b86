"""Replace those of Locust's own routes that start, stop or configure the load."""

from __future__ import annotations

import dataclasses
from typing import Any

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from loadtests.errors import BadInput
from loadtests.live import swarm
from loadtests.live.controls import Controls


def replace(web_ui: Any, controls: Controls) -> None:
    """Replace Locust's views, which set any option, file, address or attribute that a request names."""

    def start() -> ResponseReturnValue:
        now = (
            controls.requested
            if controls.running
            else dataclasses.replace(controls.requested, targets=controls.targets)
        )
        try:
            asked = swarm.read(request.form.to_dict(flat=False), now, controls.classes, controls.strategies)
        except BadInput as error:
            return jsonify(success=False, message=f"{error}.")
        controls.swarm(asked)
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
