"""One contract for both targets and all strategies."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from loadtests.errors import LabDown
from loadtests.generator import targets
from loadtests.host import topology
from loadtests.host.processes import ProcessRuntime
from loadtests.report import predict
from services.aggregator import article
from services.aggregator.variants import STRATEGIES
from tests.processes import running, urls

PATHS = [strategy.url_path for strategy in STRATEGIES.values()]
every_strategy = pytest.mark.parametrize("strategy", sorted(STRATEGIES))


@every_strategy
def test_a_page_holds_every_answer_in_task_order(client: httpx.Client, target: str, strategy: str) -> None:
    answer = client.get(STRATEGIES[strategy].url_path, params={"fan_out": 7})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    page = answer.json()
    assert page["message"]
    assert page["strategy"] == strategy
    assert page["fan_out"] == 7
    assert page["elapsed"] > 0
    assert target.upper() in page["server"]
    assert ("gunicorn" if target == "wsgi" else "uvicorn") in page["server"]
    assert page["responses"] == [{"message": "Hello World!", "task_id": str(n)} for n in range(7)]


@every_strategy
def test_without_a_query_a_page_makes_ten_calls(client: httpx.Client, strategy: str) -> None:
    assert len(client.get(STRATEGIES[strategy].url_path).json()["responses"]) == 10


@every_strategy
@pytest.mark.parametrize("fan_out", [1, 100])
def test_the_smallest_and_the_largest_page_are_whole(client: httpx.Client, strategy: str, fan_out: int) -> None:
    page = client.get(STRATEGIES[strategy].url_path, params={"fan_out": fan_out, "latency": 0.001}).json()
    assert [response["task_id"] for response in page["responses"]] == [str(n) for n in range(fan_out)]


@every_strategy
def test_jitter_does_not_disturb_the_order(client: httpx.Client, strategy: str) -> None:
    page = client.get(STRATEGIES[strategy].url_path, params={"latency": 0, "jitter": 0.05}).json()
    assert [response["task_id"] for response in page["responses"]] == [str(n) for n in range(10)]


@every_strategy
def test_parallel_calls_take_less_than_their_sum_and_sequential_ones_do_not(
    client: httpx.Client, strategy: str
) -> None:
    """A parallel page has 6 s until its calls could have come one after the other."""
    fan_out, latency = (10, 0.05) if strategy == "sequential" else (20, 0.3)
    page = client.get(STRATEGIES[strategy].url_path, params={"fan_out": fan_out, "latency": latency}).json()
    assert (page["elapsed"] >= fan_out * latency) == (strategy == "sequential")
    assert page["elapsed"] >= latency


@every_strategy
def test_server_timing_says_how_long_the_view_took(client: httpx.Client, strategy: str) -> None:
    answer = client.get(STRATEGIES[strategy].url_path, params={"latency": 0.1, "fan_out": 1})
    name, _, milliseconds = answer.headers["server-timing"].partition(";dur=")
    assert name == "page"
    assert float(milliseconds) >= answer.json()["elapsed"] * 1000 >= 100


@every_strategy
@pytest.mark.parametrize(
    ("query", "parameter", "came"),
    [
        ("fan_out=0", "fan_out", "0"),
        ("fan_out=101", "fan_out", "101"),
        ("fan_out=-3", "fan_out", "-3"),
        ("fan_out=2.5", "fan_out", "2.5"),
        ("fan_out=", "fan_out", ""),
        ("fan_out=ten", "fan_out", "ten"),
        ("latency=nan", "latency", "nan"),
        ("latency=1e9", "latency", "1e9"),
        ("latency=%00", "latency", "\x00"),
        ("jitter=-1", "jitter", "-1"),
        ("latency=1&latency_p99=0.5", "latency_p99", "0.5"),
        ("fail=2", "fail", "2"),
        ("fail=%3Cscript%3E", "fail", "<script>"),
        ("hang=x", "hang", "x"),
        ("hanging=101", "hanging", "101"),
        ("work=1.5", "work", "1.5"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_its_bounds(
    client: httpx.Client, strategy: str, query: str, parameter: str, came: str
) -> None:
    answer = client.get(f"{STRATEGIES[strategy].url_path}?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["parameter"], problem["came"]) == (400, parameter, came)
    assert problem["minimum"] < problem["maximum"]
    assert parameter in problem["detail"]


@every_strategy
@pytest.mark.parametrize("query", ["fanout=3", "fan_out=1&fan_out=2", "latency=" + "1" * 3000, "=1", "__proto__=1"])
def test_a_query_that_cannot_be_meant_is_refused(client: httpx.Client, strategy: str, query: str) -> None:
    answer = client.get(f"{STRATEGIES[strategy].url_path}?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@every_strategy
def test_calls_that_fail_make_the_page_fail_and_are_named(client: httpx.Client, strategy: str) -> None:
    answer = client.get(STRATEGIES[strategy].url_path, params={"fan_out": 3, "fail": 1})
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    named = [failed["call"] for failed in problem["failures"]]
    expected = 1 if strategy == "sequential" else 3  # one after the other stops at the first
    assert [call.partition("&")[0] for call in named] == [f"task_id={n}" for n in range(expected)]
    assert all("503" in failed["why"] for failed in problem["failures"])
    assert "Traceback" not in answer.text


def test_calls_that_never_answer_time_out_as_504_and_are_named(client: httpx.Client) -> None:
    """By every strategy, and all wait for their timeout at the same time."""
    with ThreadPoolExecutor(len(STRATEGIES)) as threads:
        answers = threads.map(lambda path: client.get(path, params={"fan_out": 3, "hanging": 1}), PATHS)
        for answer in answers:
            assert answer.status_code == 504
            assert [failed["call"] for failed in answer.json()["failures"]] == ["task_id=0&hang=1"]


@every_strategy
def test_a_page_computes_as_long_as_it_is_asked_to(client: httpx.Client, strategy: str) -> None:
    answer = client.get(STRATEGIES[strategy].url_path, params={"fan_out": 1, "latency": 0, "work": 0.2})
    assert answer.json()["elapsed"] >= 0.2


@pytest.mark.parametrize(
    "path", [f"/{pattern.pattern}" for pattern in article.urlpatterns if pattern.callback != article.api]
)
def test_the_views_of_the_articles_ask_for_every_task_under_both_servers(client: httpx.Client, path: str) -> None:
    assert [call["task_id"] for call in client.get(path).json()["responses"]] == [str(task) for task in range(10)]


def test_the_first_page_names_the_server_and_its_links_lead_somewhere(client: httpx.Client, target: str) -> None:
    page, slots = client.get("/"), client.get("/healthz").json()["slots"]
    assert page.headers["content-type"].startswith("text/html")
    assert f"({target.upper()}), {f'{slots} slots' if slots else 'no slots'}</h1>" in page.text
    links = re.findall(r'<a href="([^"]+)">', page.text)
    assert {"/healthz", "/api/aggregated/", "/api/article/", "/api/variants/stream/"} <= set(links)
    assert not any("orm" in link for link in links), "pages of queries, which this deployment has no database for"
    assert all(client.head(link, params={"fan_out": 1}).status_code in {200, 405, 501} for link in links)


def test_another_path_is_a_problem_too(client: httpx.Client) -> None:
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_only_safe_methods_are_allowed(client: httpx.Client) -> None:
    assert client.post(STRATEGIES["gather"].url_path).status_code == 405
    assert client.head(STRATEGIES["gather"].url_path, params={"fan_out": 1}).status_code == 200


def test_health_says_what_the_target_is(client: httpx.Client, target: str) -> None:
    health = client.get("/healthz").json()
    assert (health["status"], health["target"], health["interface"]) == ("ok", target, target.upper())
    declared = topology.services({})[target].environment
    assert health["slots"] == (int(declared["THREADS"]) if target == "wsgi" else None)
    assert health["packages"]["django"]


def test_a_target_is_what_the_prediction_takes_it_for(logs: Path) -> None:
    asked = {"WSGI_WORKERS": "2", "WSGI_THREADS": "3", "ASGI_WORKERS": "2", "THREADPOOL": "5", "MAX_CONNECTIONS": "7"}
    described = topology.services(asked)
    with running(["wsgi", "asgi"], logs, **asked) as runtime:
        found = {name: targets.ask(name, urls(runtime)[name]) for name in ("wsgi", "asgi")}
    for name, target in found.items():
        expected = predict.deployment(described[name], predict.Lab(described, machine=2, limited=False))
        assert (target.slots, target.workers, target.pools) == (expected.slots, expected.workers, expected.pools)
    assert "gather" not in found["wsgi"].pools, "a client for each page"
    assert found["asgi"].pools.items() >= {"threadpool": 10, "gather": 14}.items()


@pytest.mark.parametrize(("service", "declared"), [("wsgi", "asgi"), ("asgi", "wsgi")])
def test_a_server_that_is_declared_to_be_of_the_other_interface_does_not_start(
    service: str, declared: str, logs: Path
) -> None:
    runtime = ProcessRuntime(logs)
    runtime.prepare()
    described = runtime.services[service]
    runtime.services[service] = replace(described, environment={**described.environment, "INTERFACE": declared})
    try:
        with pytest.raises(LabDown, match=f"the service {service} is not healthy: it ended with exit status 3"):
            runtime.up([service])
    finally:
        runtime.down()
    assert f"INTERFACE must be {service} for services.aggregator.{service}; it is '{declared}'" in (
        logs / f"{service}.log"
    ).read_text(encoding="utf-8")
