"""The manifests for Kubernetes, as its own client reads them. No cluster is asked."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.e2e.conftest import cannot_run
from tests.runs import ROOT


def run(*words: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def rendered(engine: None, docker_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("kubectl"):
        cannot_run("no kubectl is installed (on Debian: apt install kubernetes-client)")
    folder = tmp_path_factory.mktemp("kubernetes")
    words = [sys.executable, "-m", "loadtests", "render", "kubernetes", f"--write-to={folder}"]
    hostile = {"COMPOSE_PROJECT_NAME": "lab", "APP_HOST": '$(HOME) "$${x}" # é: yes'}
    printed = run(*words, environment={**docker_environment, **hostile})
    assert sorted(map(Path, printed.split())) == sorted(path for path in folder.rglob("*") if path.is_file())
    return folder


def built(folder: Path) -> list[dict[str, Any]]:
    documents = list(yaml.safe_load_all(run("kubectl", "kustomize", str(folder))))
    for document in documents:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    return documents


def affinities(documents: list[dict[str, Any]]) -> list[Any]:
    workloads = [one for one in documents if one["kind"] in {"Deployment", "Job"}]
    assert len(workloads) == 4
    return [one["spec"]["template"]["spec"].get("affinity") for one in workloads]


def test_the_base_is_a_namespace_with_the_load_generator_on_a_node_of_its_own(rendered: Path) -> None:
    documents = built(rendered / "base")
    kinds = sorted(one["kind"] for one in documents)
    assert kinds == ["Deployment"] * 3 + ["Job", "Namespace", "NetworkPolicy"] + ["Service"] * 4
    assert {one["metadata"].get("namespace", "lab") for one in documents} == {"lab"}
    assert all(affinities(documents))


def test_the_overlay_for_one_node_keeps_nothing_apart_and_changes_nothing_else(rendered: Path) -> None:
    base, overlay = built(rendered / "base"), built(rendered / "overlays" / "one-node")
    assert affinities(overlay) == [None] * 4
    for one in base:
        if one["kind"] in {"Deployment", "Job"}:
            del one["spec"]["template"]["spec"]["affinity"]
    assert overlay == base


def test_a_value_comes_through_kustomize_as_it_was(rendered: Path) -> None:
    [job] = [one for one in built(rendered / "base") if one["kind"] == "Job"]
    [container] = job["spec"]["template"]["spec"]["containers"]
    values = {one["name"]: one["value"] for one in container["env"]}
    assert values["APP_HOST"] == '$$(HOME) "$$$${x}" # é: yes', "Kubernetes makes one dollar sign of two"


def test_the_overlay_that_the_documentation_shows_is_one(rendered: Path) -> None:
    mine = rendered / "overlays" / "mine"
    mine.mkdir()
    [example] = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "scale.md").read_text(), re.MULTILINE | re.DOTALL)
    (mine / "kustomization.yaml").write_text(example)
    documents = built(mine)
    deployments = [one for one in documents if one["kind"] == "Deployment"]
    specs = {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in deployments}
    assert specs["wsgi"]["nodeSelector"] == {"kubernetes.io/hostname": "node-2"}
    assert specs["api"]["containers"][0]["image"].startswith("registry.example/lab/")
