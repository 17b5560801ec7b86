"""Somebody's own Django project, as it is: where it lies, its settings, its applications, and what decides its speed.

The project may have a package called `services`, as the lab has: before it is loaded the lab's modules give up their
names. What the lab needs of them it has imported by then.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import sys
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from services import env, target
from services.telemetry import counters

UPSTREAMS = "$LAB_UPSTREAMS"  # in the project's variables: the address of the service that replays its upstreams
GIVEN = json.loads(Path(env.text("LAB_APP_VARIABLES")).read_text(encoding="utf-8") or "{}")
APPLICATION = env.optional("LAB_APPLICATION")
CALLED = env.text("LAB_UPSTREAMS") if any(UPSTREAMS in value for value in GIVEN.values()) else ""
LAB = Path(__file__).resolve().parents[2]
IDENTITY = env.text("HEALTH_PATH")
MANAGE = re.compile(r"DJANGO_SETTINGS_MODULE['\"]\s*,\s*['\"]([\w.]+)['\"]")
# What a project finds in every container; all else is the lab's, and may mean something else to the project.
KEPT = re.compile(r"PATH|HOME|HOSTNAME|LANG|LC_\w+|TZ|TMPDIR|SSL_CERT_\w+|PYTHON(?!PATH)\w+|PROMETHEUS_MULTIPROC_DIR")


def enter() -> None:
    """Make the project's folder the current one and the first that modules come from, and set its environment.

    Ends the process with a sentence where there is no such project.
    """
    folder = Path(env.text("LAB_APP"))
    os.chdir(folder)
    sys.path[:] = [str(folder), *(path for path in sys.path if Path(path or ".").resolve() not in {LAB, folder})]
    own = {name: value.replace(UPSTREAMS, env.text("LAB_UPSTREAMS")) for name, value in GIVEN.items()}
    settings = env.optional("LAB_SETTINGS") or settings_of(folder / "manage.py")
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    os.environ.clear()
    os.environ |= {**kept, "DJANGO_SETTINGS_MODULE": settings, **own}


def settings_of(manage: Path) -> str:
    """Return the settings that a project's manage.py names. Ends the process with a sentence where it names none."""
    text = manage.read_text(encoding="utf-8", errors="replace") if manage.is_file() else ""
    if match := MANAGE.search(text):
        return match[1]
    raise env.BadEnvironment(
        "SETTINGS is not set, and no manage.py in the folder of APP names the settings: set SETTINGS=shop.settings, "
        "and APP to the folder that holds manage.py"
    )


def application(interface: str) -> Any:
    """Return the project's application under 'wsgi' or 'asgi'. Ends the process with a sentence if it does not load."""
    enter()
    step_aside()
    try:
        return named(interface)
    except Exception as error:  # whatever a project raises
        traceback.print_exc()
        settings = os.environ["DJANGO_SETTINGS_MODULE"]
        raise env.BadEnvironment(
            f"the project does not load under {interface.upper()}, with SETTINGS={settings}: {error!r:.300}. If it "
            "needs a variable, write it into a file and set APP_ENV to that file; a package belongs into its "
            "requirements; SETTINGS names other settings."
        ) from error


def named(interface: str) -> Any:
    """Return the application that the person names, or the project's settings, or else what Django makes of those."""
    from django.conf import settings  # noqa: PLC0415  # the project's, which are known by now
    from django.utils.module_loading import import_string  # noqa: PLC0415

    if APPLICATION:
        return import_string(APPLICATION.replace(":", "."))
    wsgi = settings.WSGI_APPLICATION or ""
    name = wsgi if interface == "wsgi" else re.sub(r"\bwsgi\b", "asgi", wsgi)
    module = name.rpartition(".")[0]
    if not module or (interface == "asgi" and (name == wsgi or importlib.util.find_spec(module) is None)):
        return import_string(f"django.core.{interface}.get_{interface}_application")()
    return import_string(name)


def step_aside() -> None:
    """Leave the names of the lab's modules to the project, but for those that Python is importing right now."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "services"]:
        if name.rpartition(".")[0] != __package__ and name != __package__:
            del sys.modules[name]


def describe(query_string: str) -> dict[str, Any]:
    """Describe this deployment, as the lab's own /healthz does, and what the project is."""
    return {
        **target.OWN,
        "threads": target.THREADS,
        "api": CALLED,
        "metrics_port": counters.METRICS_PORT,
        "python": platform.python_version(),
        "packages": target.versions(*target.SERVERS),
        "project": facts(query_string),
    }


def facts(query_string: str) -> dict[str, Any]:
    """Return what decides how a project behaves under either interface, from Django itself.

    The query names paths, of whose views each is said to be sync or async.
    """
    from asgiref.sync import iscoroutinefunction  # noqa: PLC0415  # the project's
    from django.conf import settings  # noqa: PLC0415
    from django.urls import Resolver404, resolve  # noqa: PLC0415
    from django.utils.module_loading import import_string  # noqa: PLC0415

    views: dict[str, str] = {}
    for path in parse_qs(query_string).get("path", ()):
        try:
            views[path] = "async" if iscoroutinefunction(resolve(path).func) else "sync"
        except Resolver404:
            views[path] = "none"
    return {
        "views": views,
        "sync_middleware": [
            name for name in settings.MIDDLEWARE if not getattr(import_string(name), "async_capable", False)
        ],
        "debug": settings.DEBUG,
        "allowed_hosts": list(settings.ALLOWED_HOSTS),
        "databases": {name: str(entry.get("HOST", "")) for name, entry in settings.DATABASES.items()},
    }
