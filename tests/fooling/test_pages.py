"""Rows 22 to 25 of docs/method.md: pages that nobody made, that never end, come twice, or fail for another reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loadtests.errors import ExitCode
from loadtests.host.processes import free_port
from tests.fooling.changed import ChangedLab, failed
from tests.fooling.proxy import proxy
from tests.runs import one_line

OF_ASGI = '@strategy(path="", pool="MAX_CONNECTIONS")\n'
GATHER = "    return await asyncio.gather(*(afetch(client, call) for call in calls))\n"
STRATEGIES = "services/aggregator/strategies.py"
INVENTED = '[{{"message": "TOTALLY WRONG DATA", "task_id": call.task_id{echo}}} for call in calls]'


def with_gather(lab: ChangedLab, body: str, before: str = "") -> None:
    """Put another body into the strategy of ASGI's pages."""
    lab.change(STRATEGIES, OF_ASGI, f"{before}\n\n{OF_ASGI}")
    lab.change(STRATEGIES, GATHER, body)


# --- 22: cached or invented ----------------------------------------------------------------------


def test_an_invented_page_is_none(lab: ChangedLab) -> None:
    with_gather(lab, f"    return {INVENTED.format(echo='')}\n")
    ended = lab.measure()
    assert ended.code == ExitCode.INVALID
    [check] = failed(ended, "asgi")["failed pages"]
    assert "an answer was not made for this page" in check["value"]
    assert not failed(ended, "wsgi").keys() & {"calls", "pages", "users", "physical minimum", "failed pages"}


@pytest.mark.slow
def test_an_invented_page_that_knows_what_it_was_asked_with_lacks_its_calls(lab: ChangedLab) -> None:
    echo = ', "page": call.page'
    with_gather(lab, f"    await asyncio.sleep(0.2)\n    return {INVENTED.format(echo=echo)}\n")
    ended = lab.measure()
    assert ended.code == ExitCode.INVALID
    assert set(failed(ended, "asgi")) >= {"calls"}
    assert "Pages are answered without their calls" in one_line(ended.output)
    assert not failed(ended, "wsgi").keys() & {"calls", "pages", "users", "physical minimum", "failed pages"}


def test_a_page_that_makes_one_of_its_ten_calls_lacks_the_others(lab: ChangedLab) -> None:
    echo = ', "page": call.page'
    with_gather(lab, f"    await afetch(client, calls[0])\n    return {INVENTED.format(echo=echo)}\n")
    ended = lab.measure()
    assert ended.code == ExitCode.INVALID
    assert set(failed(ended, "asgi")) >= {"calls"}


@pytest.mark.slow
def test_a_cached_page_was_made_for_somebody_else(lab: ChangedLab) -> None:
    with_gather(
        lab,
        "    if not cached:\n        cached[:] = await asyncio.gather(*(afetch(client, call) for call in calls))\n"
        "    return list(cached)\n",
        before="cached: Results = []",
    )
    ended = lab.measure()
    assert ended.code == ExitCode.INVALID
    [check] = failed(ended, "asgi")["failed pages"]
    assert "an answer was not made for this page" in check["value"]


@pytest.mark.slow
def test_an_api_that_does_not_wait_makes_pages_that_are_too_fast(lab: ChangedLab) -> None:
    lab.change("services/api/app.py", "None if outcome.hangs else outcome.wait,", "outcome.wait / 2,")
    ended = lab.measure()
    assert ended.code == ExitCode.INVALID
    assert set(failed(ended)) >= {"physical minimum"}


# --- 23: never ended ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("load", ["--users=20", "--rate=20"])
def test_pages_that_hang_are_followed_to_their_end_and_counted(lab: ChangedLab, load: str) -> None:
    """Each takes longer than the window: one that only looks at what ends inside it sees none of them."""
    ended = lab.measure(load, HANG="0.02", CALL_TIMEOUT="2")
    assert ended.code == ExitCode.INVALID
    steps = [step for arm in ended.summary["arms"] for step in arm["steps"]]
    assert any("TimeoutError" in reason for step in steps for reason in step["failure_reasons"])
    assert "failed pages" in failed(ended)


@pytest.mark.slow
def test_users_whose_pages_began_to_hang_before_the_window_are_missed(lab: ChangedLab) -> None:
    with_gather(
        lab,
        "    hanging.append(len(hanging) < 4)\n    if hanging[-1]:\n        await asyncio.sleep(8)\n" + GATHER,
        before="hanging: list[bool] = []",
    )
    ended = lab.measure("--users=20")
    assert ended.code == ExitCode.INVALID
    [check] = failed(ended, "asgi")["users"]
    assert "of 20 users had pages that were whole" in check["value"]


# --- 24: again and again --------------------------------------------------------------------------


@contextmanager
def something_before(lab: ChangedLab, service: str, way: str, every: int = 5) -> Iterator[dict[str, str]]:
    """A proxy before ASGI, or before the api for ASGI and WSGI alike; the variables that its run needs."""
    port = free_port()
    with proxy(port, way, every) as listening:
        instead = f"http://127.0.0.1:{listening}"
        if service == "api":
            lab.change("compose.yaml", "http://api:8000", instead)
        else:
            begins = "    def _url(self, service: str, port: int = PORT) -> str:\n"
            lab.change(
                "loadtests/host/processes.py",
                begins,
                f"{begins}        if service == {service!r}: return {instead!r}\n",
            )
        yield {f"{service.upper()}_PORT": str(port)}


def test_connections_that_are_reset_are_failures_of_their_kind(lab: ChangedLab) -> None:
    with something_before(lab, "asgi", "resets") as variables:
        ended = lab.measure(**variables)
    assert ended.code == ExitCode.INVALID
    [check] = failed(ended, "asgi")["failed pages"]
    assert "no answer: the connection was" in check["value"]
    assert "failed pages" not in failed(ended, "wsgi")


@pytest.mark.slow
def test_calls_whose_connection_is_reset_are_failures_and_not_made_again(lab: ChangedLab) -> None:
    with something_before(lab, "api", "resets", every=40) as variables:
        ended = lab.measure(**variables)
    assert ended.code == ExitCode.INVALID
    for target in ("wsgi", "asgi"):
        found = failed(ended, target)
        assert "isconnected" in found["failed pages"][0]["value"]
        assert "calls" not in found


@pytest.mark.slow
def test_requests_that_something_repeats_are_more_pages_than_were_asked_for(lab: ChangedLab) -> None:
    with something_before(lab, "asgi", "repeats") as variables:
        ended = lab.measure("--users=10", **variables)
    assert ended.code == ExitCode.INVALID
    [check] = failed(ended, "asgi")["pages"]
    assert "asks again" in check["remedy"]
    assert "pages" not in failed(ended, "wsgi")


def test_a_cache_before_the_target_answers_more_than_the_target(lab: ChangedLab) -> None:
    with something_before(lab, "asgi", "caches") as variables:
        ended = lab.measure("--users=10", **variables)
    assert ended.code == ExitCode.INVALID
    [check] = failed(ended, "asgi")["pages"]
    assert "as a cache" in check["remedy"]


@pytest.mark.slow
def test_pages_of_a_worker_that_is_killed_fail_and_say_so(lab: ChangedLab) -> None:
    """The server starts another one; what the first had under way is lost, and is not asked for again."""
    lab.change(
        "loadtests/generator/run.py",
        "        part.open()\n",
        "        part.open()\n"
        "        import psutil\n"
        "        for process in psutil.process_iter(['cmdline']):\n"
        "            if 'gunicorn' in str(process.info['cmdline']) and str(generator.folder.parents[1]) in "
        "str(process.environ().get('PYTHONPATH')) and not process.children() and measurement.arm.target == 'wsgi':\n"
        "                process.kill()\n",
    )
    ended = lab.measure("--users=10")
    assert ended.code == ExitCode.INVALID
    [check] = failed(ended, "wsgi")["failed pages"]
    assert "no answer: the connection was" in check["value"]


# --- 25: the layer that waited --------------------------------------------------------------------


@pytest.mark.slow
def test_a_call_that_waited_for_the_pool_says_so(lab: ChangedLab) -> None:
    ended = lab.measure("--fan-out=20", MAX_CONNECTIONS="2", CONNECT_TIMEOUT="1")
    assert ended.code == ExitCode.INVALID
    [check] = failed(ended, "asgi")["failed pages"]
    assert "PoolTimeout: waited for one of 2 pooled connections" in check["value"]
