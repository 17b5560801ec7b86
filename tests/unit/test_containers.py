"""What compose.yaml and the Dockerfile have to say of every service, and what is laid over them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from loadtests.host import topology
from loadtests.host.compose import without_what_podman_lacks

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = topology.load(topology.FILE)
SERVICES: dict[str, dict[str, Any]] = topology.read(topology.FILE)
NETWORKS: dict[str, dict[str, Any]] = topology.load(ROOT / "compose" / "database.yaml")["networks"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

every_service = pytest.mark.parametrize("service", SERVICES)


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
    assert described["build"]["context"] in {".", ".."}
    assert f" AS {topology.interpolate(described['build']['target'], {})}\n" in DOCKERFILE
    assert "name" not in COMPOSE, "the project is called as its folder"


def test_the_database_is_on_a_network_that_the_host_has_no_address_in() -> None:
    assert SERVICES["postgres"]["networks"] == ["database"]
    assert NETWORKS["database"]["internal"]
    assert NETWORKS["database"]["driver_opts"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}


def test_all_that_podman_does_not_know_is_taken_away() -> None:
    config = without_what_podman_lacks({"services": SERVICES, "networks": {"default": None, **NETWORKS}})
    assert config["services"].keys() == SERVICES.keys()
    assert all("start_interval" not in service["healthcheck"] for service in config["services"].values())
    assert config["services"]["api"]["command"] == SERVICES["api"]["command"]
    assert config["networks"] == {"default": {}, "database": {"internal": True}}


def test_every_file_of_services_is_included() -> None:
    files = {f"compose/{path.name}" for path in (ROOT / "compose").glob("*.yaml")}
    assert files == {*COMPOSE["include"], "compose/confined.yaml", "compose/image.yaml"}


def test_the_code_in_an_image_can_be_read_whatever_the_umask_of_the_clone_was() -> None:
    copied = [line for line in re.findall(r"^COPY .*$", DOCKERFILE, flags=re.MULTILINE) if " /lab/" in line]
    assert len(copied) >= 4
    assert all("--chmod=" in line for line in copied)


def test_the_base_image_can_be_given_by_its_digest() -> None:
    assert set(re.findall(r"^FROM (\S+) AS", DOCKERFILE, flags=re.MULTILINE)) <= {"${PYTHON_IMAGE}", "install", "base"}
    assert all(service["build"]["args"] == ["PYTHON_IMAGE"] for service in SERVICES.values())
