"""Whom the sampler of a service answers."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from services.telemetry import scrape

# A container's: its way out by 172.18.0.1, which is the host, and its own network 172.18.0.0/16; little-endian.
CONTAINER = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


@pytest.mark.parametrize(
    ("peer", "answered"),
    [
        ("127.0.0.1", True),  # as local processes
        ("172.18.0.7", True),  # another container
        ("172.18.0.1", False),  # the host
        ("192.0.2.9", False),  # the host by another of its addresses
        ("172.19.0.7", False),  # another network's container
    ],
)
def test_only_containers_of_the_same_network_are_answered(
    peer: str, *, answered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "ROUTES", tmp_path / "route")
    scrape.ROUTES.write_text(CONTAINER)
    assert scrape.is_of_the_lab(IPv4Address(peer)) == answered


def test_where_something_else_guards_the_port_everybody_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a NetworkPolicy does on Kubernetes, whose pods are in a network for each node."""
    monkeypatch.setattr(scrape, "ROUTES", tmp_path / "none")
    monkeypatch.setenv("TELEMETRY_READERS", "all")
    assert scrape.is_of_the_lab(IPv4Address("192.0.2.9"))
    monkeypatch.setenv("TELEMETRY_READERS", "lab")
    assert not scrape.is_of_the_lab(IPv4Address("192.0.2.9"))


def test_where_the_kernel_names_no_routes_nobody_else_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "ROUTES", tmp_path / "none")
    assert not scrape.is_of_the_lab(IPv4Address("172.18.0.7"))
    assert scrape.is_of_the_lab(IPv4Address("127.0.0.1"))
