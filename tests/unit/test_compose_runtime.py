from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from loadtests.errors import BadInput, LabDown
from loadtests.host import compose
from loadtests.host.compose import GENERATOR_UID, ComposeRuntime, depends_on, short_of
from loadtests.host.runtime import command_line

CONFIG = {
    "name": "lab",
    "networks": {"default": {}},
    "services": {
        "api": {"image": "lab/api", "command": ["serve"], "ports": [{"published": "0", "host_ip": "127.0.0.1"}]},
        "wsgi": {"image": "lab/web", "command": ["serve"], "depends_on": {"api": {"condition": "service_healthy"}}},
    },
}


class Engine:
    """Does as it is told, remembers the commands and starts nothing."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.running: list[str] = []
        self.up_by_hand: list[str] = []
        self.environments: list[dict[str, str]] = []

    def run(self, words: Sequence[str], **environment: Any) -> subprocess.CompletedProcess[str]:
        self.told.append(" ".join(words))
        self.environments.append(environment.get("env") or {})
        project = next((word.partition("=")[2] for word in words if word.startswith("--project-name=")), "lab")
        config = json.dumps({**CONFIG, "name": project})
        up = "\n".join(self.up_by_hand if project == "lab" and "--quiet" in words else self.running)
        said = {"config": config, "ps": up, "version": "2.26.1"}
        asked = next((word for word in words if word in said), "")
        return subprocess.CompletedProcess(words, 0, said.get(asked, ""), "")

    def start(self, words: Sequence[str], **_: Any) -> Command:
        self.told.append(" ".join(words))
        if "up" in words:
            self.running += [word for word in words if word in CONFIG["services"] and word not in self.running]
        return Command()

    def commands(self, name: str) -> list[str]:
        """Those of Compose with this name: what came after it."""
        return [words.partition(f" {name} ")[2] for words in self.told if " compose " in words and f" {name} " in words]


class Command:
    returncode = 0

    def communicate(self, timeout: float) -> tuple[str, str]:
        return "", ""

    def kill(self) -> None:
        pass


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr(subprocess, "run", engine.run)
    monkeypatch.setattr(subprocess, "Popen", engine.start)
    monkeypatch.setattr(compose, "run_long", lambda *_: None)
    return engine


@pytest.fixture
def runtime(engine: Engine) -> ComposeRuntime:
    runtime = ComposeRuntime("run")
    runtime.prepare()
    return runtime


@pytest.fixture
def owners(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Who was made the owner of which folder, last; by root, to whom all of them belong."""
    given: dict[str, int] = {}
    stat = Path.stat

    def roots(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        mode, inode, device, links, _, _, *rest = stat(path, follow_symlinks=follow_symlinks)
        return os.stat_result((mode, inode, device, links, 0, 0, *rest))

    def give(path: Path, uid: int, gid: int, *, follow_symlinks: bool = True) -> None:
        stat(path, follow_symlinks=follow_symlinks)
        engine.told.append(f"chown {uid} {path.name}")
        given[path.name] = uid

    monkeypatch.setattr(Path, "stat", roots)
    monkeypatch.setattr(os, "chown", give)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    return given


@pytest.mark.parametrize(
    ("url", "needed"),
    [
        ("sqlite:////tmp/lab.sqlite3", ["api"]),
        ("postgres://lab@postgres:5432/lab", ["api", "postgres"]),
        ("postgres://lab@db.example:5432/lab", ["api"]),
    ],
)
def test_a_database_of_the_labs_own_is_started_only_where_it_is_asked_for(url: str, needed: list[str]) -> None:
    service = {
        "depends_on": {"api": {"condition": "service_healthy"}, "postgres": {"required": False}},
        "environment": {"DATABASE_URL": url, "THREADS": 10},
    }
    assert depends_on(service) == needed


def test_a_command_is_shown_with_what_the_environment_fills_in() -> None:
    words = ["python", "-m", "supervise", "gunicorn", "--threads=$$THREADS", "--workers=$WORKERS", "$HOME x"]
    shown = command_line(words, {"THREADS": "50", "WORKERS": "4"})
    assert shown == "python -m supervise gunicorn --threads=50 --workers=4 '$HOME x'"


def test_a_service_that_died_is_started_again_and_one_that_runs_is_left_alone(
    runtime: ComposeRuntime, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.up(["wsgi"])
    runtime.up(["wsgi"])
    assert len(engine.commands("up")) == 1
    assert "again" not in capsys.readouterr().out
    engine.running.remove("wsgi")
    runtime.up(["wsgi"])
    assert len(engine.commands("up")) == 2
    assert engine.commands("up")[-1].endswith(" api wsgi")
    assert "started again: wsgi." in capsys.readouterr().out
    runtime.down()
    assert engine.commands("down") == ["--remove-orphans --timeout 3"]


def test_every_folder_that_the_generator_was_given_is_given_back(
    runtime: ComposeRuntime, tmp_path: Path, owners: dict[str, int]
) -> None:
    for name in ("first", "second"):
        (tmp_path / name / "raw").mkdir(parents=True)
        runtime.generate([], ["wsgi"], tmp_path / name)
        assert owners[name] == GENERATOR_UID
    assert owners["first"] == 0
    runtime.down()
    assert owners == {"first": 0, "second": 0, "raw": 0}


def test_a_folder_that_is_gone_does_not_keep_the_containers_up(
    runtime: ComposeRuntime, engine: Engine, tmp_path: Path, owners: dict[str, int]
) -> None:
    runtime.up(["wsgi"])
    folder = tmp_path / "run"
    folder.mkdir()
    runtime.generate([], ["wsgi"], folder)
    folder.rmdir()
    runtime.down()
    assert engine.commands("down") == ["--remove-orphans --timeout 3"]


def test_the_containers_are_gone_before_a_folder_is_given_back(
    runtime: ComposeRuntime, engine: Engine, tmp_path: Path, owners: dict[str, int]
) -> None:
    runtime.up(["wsgi"])
    runtime.generate([], ["wsgi"], tmp_path)
    engine.told.clear()
    runtime.down()
    generator, services, folder = engine.told
    assert f" rm --force lab-run-{os.getuid()}-generator-" in generator
    assert " down " in services
    assert folder == f"chown 0 {tmp_path.name}"


@pytest.mark.parametrize(("load", "said"), [(31.0, "a load average of 31.0 on 2 cores"), (1.0, "short of memory")])
def test_a_service_that_says_nothing_is_short_of_what_the_machine_lacks(
    load: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert said in short_of()
    assert "short of memory" in short_of(), "many workers are, and leave no word"


def test_a_run_has_a_project_and_ports_of_its_own_and_leaves_a_lab_that_is_up_alone(
    engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_FILE", "/elsewhere.yaml")
    monkeypatch.setenv("COMPOSE_PROFILES", "everything")
    monkeypatch.delenv("API_PORT", raising=False)
    engine.up_by_hand = ["c0ffee"]
    runtime = ComposeRuntime("run")
    runtime.prepare()
    assert runtime.project == f"lab-run-{os.getuid()}"
    assert "The lab that is up as lab is left alone" in capsys.readouterr().out
    runtime.up(["wsgi"])
    runtime.down()
    assert engine.environments[-2]["API_PORT"] == "0"
    assert not {"COMPOSE_FILE", "COMPOSE_PROFILES"} & {name for one in engine.environments for name in one}
    changes = [words for words in engine.told if any(f" {verb} " in words for verb in ("up", "down", "rm", "run"))]
    assert changes
    assert all(f"--project-name=lab-run-{os.getuid()} " in words for words in changes)


def test_the_web_ui_does_not_join_a_lab_that_is_up(engine: Engine) -> None:
    engine.up_by_hand = ["c0ffee"]
    with pytest.raises(LabDown, match="is up already, as the Compose project lab"):
        ComposeRuntime().prepare()


def test_a_disk_that_knows_no_owners_is_refused(
    runtime: ComposeRuntime, tmp_path: Path, owners: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(LabDown, match=r"^RESULTS must be a folder that root may give .* Operation not permitted"):
        runtime.generate([], ["wsgi"], tmp_path)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'Cannot connect to the daemon' >&2; exit 1", "the engine does not answer: Cannot connect to the daemon"),
        ("[ $1 = version ] && echo 1.45 && exit; echo 'unknown command' >&2; exit 1", "it has no Compose plugin"),
        ("echo hello", "`DOCKER version --format '{{.Client.APIVersion}}'` names no version: DOCKER must be"),
        ("echo 1.43", "Docker 25 or newer, with API 1.44 is needed; this one has 1.43"),
        (
            "[ $1 = version ] && echo 1.45 || echo v2.19.0-desktop",
            "Compose 2.26 or newer is needed; this one has v2.19",
        ),
        ("[ $1 = version ] && echo 1.45 || echo 2.26.1-4", None),
    ],
)
def test_why_docker_cannot_be_used_names_what_is_missing(
    script: str, why: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("DOCKER", str(program))
    reason = compose.why_no_engine()
    assert reason is None if why is None else (reason or "").replace(str(program), "DOCKER").startswith(why)


def test_an_engine_that_is_no_command_is_refused_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER", 'docker "')
    with pytest.raises(BadInput, match="DOCKER must be a command"):
        compose.why_no_engine()


@pytest.mark.parametrize(
    ("rootless", "uid", "user"), [(True, 1000, "0:0"), (False, 1000, "1000:1000"), (False, 0, "10001:10001")]
)
def test_what_a_project_writes_is_this_users_to_remove(
    monkeypatch: pytest.MonkeyPatch, *, rootless: bool, uid: int, user: str
) -> None:
    monkeypatch.setattr(compose, "is_rootless", lambda: rootless)
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setattr(os, "getgid", lambda: uid)
    assert compose.this_user() == user
