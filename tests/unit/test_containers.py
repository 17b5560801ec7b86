"""What compose.yaml and the Dockerfile have to say of every service, and what is laid over them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

every_service = pytest.mark.parametrize("service", SERVICES)


class Overlay(yaml.SafeLoader):
    """Reads Compose's own tags, too: `!reset null` is read as "reset"."""


Overlay.add_constructor("!reset", lambda *_: "reset")


@every_service
def test_a_service_is_limited(service: str) -> None:
    described = SERVICES[service]
    assert described["memswap_limit"] == described["mem_limit"], "no swap beyond the memory"
    assert described["cpus"]
    assert 0 < described["pids_limit"] < 32768
    assert described["logging"]["options"].keys() == {"max-size", "max-file"}
    assert described["restart"].startswith("on-failure:")


@every_service
def test_a_start_is_waited_for_however_long_it_takes_and_a_service_that_is_up_is_left_alone(service: str) -> None:
    """Docker probes at start_interval until a service is healthy, but not beyond start_period."""
    health = SERVICES[service]["healthcheck"]
    assert (health["start_period"], health["start_interval"], health["interval"]) == ("24h", "500ms", "1h")


@every_service
def test_what_runs_is_the_code_that_is_there_and_no_other_projects(service: str) -> None:
    described = SERVICES[service]
    assert described["pull_policy"] == "${PULL_POLICY:-build}"
    assert described["image"].startswith("${COMPOSE_PROJECT_NAME}-")
    assert described["build"]["context"] == "."
    assert f" AS {described['build']['target']}\n" in DOCKERFILE
    assert "name" not in COMPOSE, "the project is called as its folder"


def test_the_database_is_on_a_network_that_the_host_has_no_address_in() -> None:
    networks = COMPOSE["networks"]
    assert SERVICES["postgres"]["networks"] == ["database"]
    assert networks["database"]["internal"]
    assert networks["database"]["driver_opts"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}


def test_all_that_podman_does_not_know_is_taken_away() -> None:
    overlay = yaml.load((ROOT / "compose.podman.yaml").read_text(), Overlay)  # noqa: S506  # a safe loader
    assert overlay["services"] == {name: {"healthcheck": {"start_interval": "reset"}} for name in SERVICES}
    assert overlay["networks"] == {"database": {"driver_opts": "reset"}}


def test_the_code_in_an_image_can_be_read_whatever_the_umask_of_the_clone_was() -> None:
    copied = [line for line in re.findall(r"^COPY .*$", DOCKERFILE, flags=re.MULTILINE) if " /lab/" in line]
    assert len(copied) >= 4
    assert all("--chmod=" in line for line in copied)


def test_the_base_image_can_be_given_by_its_digest() -> None:
    assert set(re.findall(r"^FROM (\S+) AS", DOCKERFILE, flags=re.MULTILINE)) <= {"${PYTHON_IMAGE}", "install", "base"}
    assert all(service["build"]["args"] == ["PYTHON_IMAGE"] for service in SERVICES.values())
