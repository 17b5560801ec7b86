"""What Prometheus scrapes and records, and what the dashboard asks it for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests.host import topology
from loadtests.model.service import METRICS_PORT

FOLDER = Path(__file__).resolve().parents[2] / "compose" / "prometheus"
CONFIG: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
RULES: list[dict[str, str]] = [
    rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
RECORDED = {rule["record"] for rule in RULES}
# Words of PromQL and labels: every other word of an expression is the name of a metric.
NOT_METRICS = {"sum", "by", "rate", "on", "group_left", "histogram_quantile", "service", "instance", "le", "how"}


def names(expression: str) -> set[str]:
    """The metrics and recorded rules that an expression reads."""
    without_durations = re.sub(r"\[[^]]*\]", "", expression)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", without_durations)) - NOT_METRICS


def scraped() -> set[str]:
    """The metrics that the rules read from the services."""
    return set().union(*(names(rule["expr"]) for rule in RULES)) - RECORDED


def queries() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_the_names_in_an_expression_are_its_metrics() -> None:
    expression = "histogram_quantile(0.9, sum by (service, le) (rate(lab_a_bucket[30s]) * on (instance) target_info))"
    assert names(expression) == {"lab_a_bucket", "target_info"}
    assert names("service:a:rate30s / (service:b:sum > 0)") == {"service:a:rate30s", "service:b:sum"}


def test_prometheus_finds_every_service_with_a_metrics_port_by_one_name_and_no_other_service() -> None:
    [job] = CONFIG["scrape_configs"]
    [discovery] = job["dns_sd_configs"]
    [name] = discovery["names"]
    assert (discovery["type"], discovery["port"]) == ("A", METRICS_PORT)
    described = topology.read(topology.FILE)
    has_metrics = {service for service, one in described.items() if str(METRICS_PORT) in one.get("expose", ())}
    assert {"api", "wsgi", "asgi", "wsgi-50", "wsgi-database", "sleepers", "upstreams"} <= has_metrics
    assert {service for service, one in described.items() if name in aliases(one)} == has_metrics
    images = topology.load(topology.FILE.parent / "compose" / "image.yaml")["services"]
    assert {service for service, one in images.items() if name in aliases(one)} == {"wsgi-image", "asgi-image"}


def aliases(service: dict[str, Any]) -> list[str]:
    networks = service.get("networks")
    default = networks.get("default") if isinstance(networks, dict) else None
    return list(default["aliases"]) if default else []


def test_a_service_with_a_metrics_port_says_by_its_name_whose_metrics_they_are() -> None:
    for name, service in topology.services({}).items():
        if METRICS_PORT in service.exposed:
            assert service.environment["TARGET"] == name


def test_every_rule_is_recorded_once_and_by_service() -> None:
    assert len(RECORDED) == len(RULES)
    assert all(record.startswith("service") for record in RECORDED)
    assert {"lab_pages_finished_total", "lab_call_lateness_seconds_bucket", "target_info"} <= scraped()


def test_no_rate_looks_back_over_fewer_than_four_readings() -> None:
    interval = int(CONFIG["global"]["scrape_interval"].removesuffix("s"))
    windows = [int(seconds) for rule in RULES for seconds in re.findall(r"\[(\d+)s\]", rule["expr"])]
    assert windows
    assert min(windows) >= 4 * interval


@pytest.mark.parametrize("query", queries())
def test_the_dashboard_asks_only_for_what_is_there(query: str) -> None:
    assert names(query) <= RECORDED | {"up", "target_info"}


def test_the_dashboard_shows_every_rule_but_those_that_only_other_rules_read() -> None:
    shown = set().union(*map(names, queries()))
    read_by_rules = set().union(*(names(rule["expr"]) for rule in RULES))
    assert RECORDED - shown <= read_by_rules


def test_each_panel_says_what_it_shows_and_in_which_unit_and_leaves_the_data_source_to_the_reader() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels)
    [variable] = DASHBOARD["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert len(panel["description"]) > 30
        assert {
            source["uid"] for source in (panel["datasource"], *(one["datasource"] for one in panel["targets"]))
        } == {f"${{{variable['name']}}}"}


def test_its_readme_says_that_grafana_was_not_run() -> None:
    assert "Grafana: not run" in (FOLDER / "README.md").read_text()
