from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.errors import BadInput
from loadtests.host import processes, topology
from loadtests.host.processes import ProcessRuntime, free_port, on_loopback

TOPOLOGY = """
services:
  api:
    command: [serve, --host=0.0.0.0, --port=8000, --limit, "80000", --workers, "${N:-2}"]
    healthcheck: {test: [CMD, probe, "http://127.0.0.1:8000/"]}
    ports: ["127.0.0.1:${API_PORT:-8003}:8000"]
  web:
    command: [run, --bind=0.0.0.0:8000]
    environment: {API: "http://api:8000/x", NUMBER: 8000, COST: "$$5"}
    healthcheck: {test: [CMD, probe]}
    ports: [{host_ip: 127.0.0.1, published: 1, target: 8000}]
"""


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${A:-1}", "1"),
        ("${B:-1}", "two"),
        ("${B}", "two"),
        ("${EMPTY:-1}", "1"),
        ("${A}", ""),
        ("$$A", "$A"),
        ("x${B:-}y${A:-z}", "xtwoyz"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text: str, filled: str) -> None:
    assert topology.interpolate(text, {"B": "two", "EMPTY": ""}) == filled


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    made = ProcessRuntime(tmp_path)
    yield made
    made.down()


def written(folder: Path, text: str) -> Path:
    (folder / "compose.yaml").write_text(text)
    return folder / "compose.yaml"


def test_what_a_service_extends_is_merged_as_compose_does(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    written(tmp_path / "base", "services: {confined: {healthcheck: {test: [CMD, probe], retries: 3}, tmpfs: [/here]}}")
    written(
        tmp_path,
        """
services:
  api:
    extends: {file: base/compose.yaml, service: confined}
    command: [serve]
    environment: {A: 1, B: 2}
    ports: ["1:8000"]
    healthcheck: {test: [CMD, other]}
  other:
    extends: {file: compose.yaml, service: api}
    command: [serve, more]
    environment: {B: 3}
    tmpfs: [/there]
    ports: !override ["2:9000"]
  silent:
    extends: {file: compose.yaml, service: api}
    ports: !reset []
    cpu_shares: !reset null
""",
    )
    read = topology.read(tmp_path / "compose.yaml")
    assert read["api"]["healthcheck"] == {"test": ["CMD", "other"], "retries": 3}
    assert (read["other"]["command"], read["other"]["environment"]) == (["serve", "more"], {"A": 1, "B": 3})
    assert (read["other"]["tmpfs"], read["other"]["ports"]) == (["/here", "/there"], ["2:9000"])
    assert read["silent"]["ports"] == []
    assert "cpu_shares" not in read["silent"]


def test_the_container_network_becomes_loopback(tmp_path: Path) -> None:
    services = on_loopback(
        topology.services({}, written(tmp_path, TOPOLOGY)), {"api": {8000: 1234}, "web": {8000: 5678}}
    )
    assert services["api"].command == ["serve", "--host=127.0.0.1", "--port=1234", "--limit", "80000", "--workers", "2"]
    assert services["api"].probe == ["probe", "http://127.0.0.1:1234/"]
    assert services["web"].command == ["run", "--bind=127.0.0.1:5678"]
    assert services["web"].environment == {"API": "http://127.0.0.1:1234/x", "NUMBER": "8000", "COST": "$5"}


def test_a_port_that_is_asked_for_may_be_the_number_of_another_one_inside(tmp_path: Path) -> None:
    text = (
        "services: {web: {command: [run, '--bind=0.0.0.0:8000', '--sampler=0.0.0.0:9000'], healthcheck: {test: [CMD]}}}"
    )
    services = on_loopback(topology.services({}, written(tmp_path, text)), {"web": {8000: 9000, 9000: 5678}})
    assert services["web"].command == ["run", "--bind=127.0.0.1:9000", "--sampler=127.0.0.1:5678"]


def test_a_command_that_is_not_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the command of api must be a list"):
        topology.services({}, written(tmp_path, "services: {api: {command: serve it}}"))


def test_nothing_of_the_lab_itself_listens_beyond_loopback() -> None:
    services = topology.services({})
    ports = {
        name: {port: 10000 + port + n for port in (*service.ports, *service.exposed)}
        for n, (name, service) in enumerate(services.items())
    }
    for service in on_loopback(services, ports).values():
        words = " ".join([*service.command, *service.environment.values(), *service.probe])
        assert "0.0.0.0" not in words  # noqa: S104
        assert "=8000" not in words
        assert ":9000" not in words
        assert "http://api" not in words


def test_no_container_of_any_profile_is_published_beyond_this_machine() -> None:
    for name, described in topology.read(topology.FILE).items():
        for port in described.get("ports", ()):
            host = port["host_ip"] if isinstance(port, dict) else port.split(":")[0]
            assert host == "127.0.0.1", name


def test_no_port_is_given_twice_nor_one_that_somebody_listens_at() -> None:
    found = [free_port() for _ in range(500)]
    assert len(set(found)) == 500
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "CANDIDATES", iter([found[0], found[1]]))
        with socket.create_server(("127.0.0.1", found[0])):
            assert free_port() == found[1]


def test_a_port_that_a_lab_has_chosen_is_its_own_before_its_service_listens_there_and_until_it_is_down(
    runtime: ProcessRuntime,
) -> None:
    runtime.prepare()
    port = int(runtime.metrics["wsgi"].rpartition(":")[2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "CANDIDATES", iter([port, other := free_port()]))
        assert free_port() == other
    with socket.create_server(("127.0.0.1", port)):
        pass
    runtime.down()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "CANDIDATES", iter([port]))
        assert free_port() == port


def test_two_services_at_one_port_are_refused_by_the_names_of_their_variables(
    runtime: ProcessRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("WSGI_PORT", str(port))
    monkeypatch.setenv("ASGI_PORT", f"0{port}")
    with pytest.raises(BadInput, match=f"^WSGI_PORT and ASGI_PORT must be different ports; both are {port}$"):
        runtime.prepare()
    monkeypatch.setenv("ASGI_PORT", "")
    runtime.prepare()


def test_a_target_is_called_as_its_service() -> None:
    services = topology.services({})
    names = {
        name: service.environment["TARGET"] for name, service in services.items() if "TARGET" in service.environment
    }
    assert len(names) > 2
    assert all(name == called for name, called in names.items())


def test_a_page_that_calls_its_own_server_calls_the_service_that_it_is_a_page_of() -> None:
    """In containers its address is the container's own; as a process it has a port of its own."""
    services = topology.services({})
    ports = {name: {8000: 20_000 + number} for number, name in enumerate(services)}
    targets = [name for name, service in services.items() if "SELF_URL" in service.environment]
    assert "wsgi-50" in targets
    assert {services[name].environment["SELF_URL"] for name in targets} == {"http://0.0.0.0:8000"}
    for name in targets:
        address = on_loopback(services, ports)[name].environment["SELF_URL"]
        assert address == f"http://127.0.0.1:{ports[name][8000]}"


def test_what_compose_holds_besides_starts_only_where_its_profile_is_asked_for_and_at_no_port_of_another() -> None:
    described = topology.read(topology.FILE)
    always = topology.load(topology.FILE)["services"]
    without_profile = {name for name, service in described.items() if not service.get("profiles")}
    assert without_profile == set(always), "a service of compose/ needs `profiles`"
    published = [str(port) for service in described.values() for port in service.get("ports", ())]
    twice = {port for port in published if published.count(port) > 1}
    assert not twice, "a service that extends another publishes its ports too: `ports: !reset []`"


def test_a_manifest_describes_services_as_in_containers_whatever_ports_were_free(
    runtime: ProcessRuntime,
) -> None:
    runtime.prepare()
    locust = runtime.describe()["locust"]
    assert "--web-port=8000" in locust["command"]
    assert locust["environment"]["TARGETS"] == "wsgi=http://wsgi:8000 asgi=http://asgi:8000"
