"""What a project of somebody's own says of itself, and what its pages do when one user asks for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http.cookies import CookieError, SimpleCookie
from statistics import mean
from typing import Any

CHEAPER = 3.0  # times that a page may be slower than the next ones, before it is said


def facts(project: Mapping[str, Any] | None) -> Iterator[str]:
    """Say what the project is, as far as it decides under which interface it does well.

    `project`: what it says of itself; None where the lab did not start it.
    """
    if project is None:
        yield (
            "The lab did not start these deployments. So slots, CPU, memory and pages in flight are not known, nothing "
            "is predicted, and the checks that need them were not made."
        )
        return
    if image := project.get("image"):
        yield (
            f"The image {image} is seen from outside: the CPU, memory, threads and connections of its processes. What "
            "they have in flight, views and middleware are not known, and the checks that need them were not made."
        )
        return
    views = ", ".join(f"{path} {kind}" for path, kind in project["views"].items() if kind != "none")
    yield f"Views: {views or 'none of these paths is known'}."
    if project["sync_middleware"] and "async" in project["views"].values():
        yield (
            f"Under ASGI each page is handed to a thread, because of middleware that is sync alone: "
            f"{', '.join(project['sync_middleware'])}."
        )
    if project["debug"]:
        yield "DEBUG is True: Django remembers each query and is slower. Set it to False to measure what you deploy."


def findings(target: str, times: Mapping[str, list[float]]) -> Iterator[str]:
    for name, (first, *others) in times.items():
        if others and first > CHEAPER * mean(others) and first - mean(others) > 0.05:
            yield (
                f"{target}: the first {name} took {first:.2g} s and the next ones {mean(others):.2g} s. If a cache "
                "answers them, the load measures the cache: give the path {placeholders} with values that differ."
            )


def hint(project: Mapping[str, Any], fault: str) -> str:
    """Return what may help against a fault, from what the project says of itself."""
    if "status 400" in fault and not project.get("debug"):
        known = f"is {hosts}" if (hosts := project.get("allowed_hosts")) is not None else "may not hold it"
        return f"ALLOWED_HOSTS {known}: set APP_HOST= to a host that it holds."
    if "status 301" in fault or "status 302" in fault:
        return (
            "It leads elsewhere. To a login: log in by [[setup]]. To https://: set SECURE_SSL_REDIRECT to False by a "
            "variable of the project (APP_ENV), or send the header that SECURE_PROXY_SSL_HEADER names."
        )
    if "status 403" in fault:
        return (
            'A form needs the token of its cookie: ask for a page first in [[setup]], and send X-CSRFToken = "{csrf}".'
        )
    if "status 5" in fault and {"localhost", "127.0.0.1"} & set(project.get("databases", {}).values()):
        return "DATABASES has HOST localhost, which in a container is the container itself: set another one by APP_ENV."
    if "status 5" in fault:
        return "The last lines of the server's log are below."
    return "Correct the page, or its check."


def cookies(kept: Mapping[str, str], lines: Iterable[str]) -> dict[str, str]:
    """Return the cookies that a user has after an answer with these Set-Cookie lines, whatever domain they are for."""
    after = dict(kept)
    for line in lines:
        try:
            answered = SimpleCookie(line)
        except CookieError:
            continue
        for name, cookie in answered.items():
            after.pop(name, None)
            if cookie.value and cookie["max-age"] != "0":
                after[name] = cookie.coded_value
    return after
