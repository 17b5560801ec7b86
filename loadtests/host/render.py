"""Write the topology of compose.yaml for engines of several machines: a Swarm stack, or Kubernetes manifests.

Pure. What both read is `docker compose config`: no command, default or limit is written here a second time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.errors import BadInput
from loadtests.model.service import GENERATOR

ROLES = ("targets", "api", "generators")  # what services are placed by

Config = Mapping[str, Any]
PLAIN = re.compile(r"(?!(?i:on|off|yes|no|true|false|null)$)[A-Za-z][\w./-]+", re.ASCII)  # a key without quotes
# Of building and starting on one machine: they say nothing of a service that runs.
OF_COMPOSE = {"build", "pull_policy", "profiles", "expose", "entrypoint", "depends_on", "networks", "image", "scale"}
TRANSLATED = {"restart", "tmpfs", "cpus", "mem_limit", "pids_limit"}

# Swarm's stack files know these as Compose does.
KEPT_BY_SWARM = (
    *("command", "environment", "healthcheck", "init", "read_only", "cap_drop", "ulimits", "logging"),
    *("stop_signal", "stop_grace_period"),
)
LOST_IN_SWARM = {
    "security_opt": "no-new-privileges",
    "cpu_shares": "what comes first where several want a core",
    "memswap_limit": "a node with swap may swap",
    "ports": "Swarm would publish them on every address of a node, so none is published",
}


def role(service: str, described: Config) -> str:
    """Return what a service is placed by: 'generators', 'targets', or 'api' for what targets call."""
    if service.partition("-")[0] == GENERATOR:
        return "generators"
    return "targets" if "INTERFACE" in (described.get("environment") or {}) else "api"


def stack(
    config: Config, services: Iterable[str], placed: Mapping[str, str] | None = None, replicas: Config | None = None
) -> str:
    """Return a stack file. `placed`: the constraint of each role, by default a node's label. Raises BadInput."""
    chosen = {name: config["services"][name] for name in services}
    for name, service in chosen.items():
        if is_unprobed(service):  # Swarm takes no test beside that
            chosen[name] = {**service, "healthcheck": {"disable": True}}
    networks = {name for service in chosen.values() for name in service["networks"]}
    content = {
        "services": {
            name: {
                "image": service["image"],
                **{key: service[key] for key in KEPT_BY_SWARM if service.get(key) is not None},
                "volumes": [{"type": "tmpfs", "target": path} for path in service.get("tmpfs") or ()],
                "networks": sorted(service["networks"]),
                "deploy": deployed(name, service, placed or {}, (replicas or {}).get(name, 1)),
            }
            for name, service in chosen.items()
        },
        # attachable: the load generator joins it as a container that its own terminal follows
        "networks": {
            name: {"driver": "overlay", "attachable": True, "internal": bool(config["networks"][name].get("internal"))}
            for name in sorted(networks)
        },
    }
    return head("Docker Swarm", chosen, {*KEPT_BY_SWARM, *TRANSLATED}, LOST_IN_SWARM) + yaml(content)


def deployed(name: str, service: Config, placed: Mapping[str, str], replicas: int) -> dict[str, Any]:
    condition, _, attempts = service["restart"].partition(":")
    where = role(name, service)
    return {
        "endpoint_mode": "dnsrr",  # the service's own address: no load balancer (IPVS) in between
        "replicas": replicas,
        "placement": {"constraints": [placed.get(where, f"node.labels.lab.{where} == true")]},
        "restart_policy": {"condition": condition, "max_attempts": int(attempts)},
        "resources": {
            "limits": {
                to: kind(service[key])
                for key, to, kind in (("cpus", "cpus", str), ("mem_limit", "memory", str), ("pids_limit", "pids", int))
                if key in service
            }
        },
    }


LOST_IN_KUBERNETES = {
    "ulimits": "open files are as many as the node's container runtime allows: 16384 are needed",
    "pids_limit": "the kubelet's podPidsLimit holds for all pods",
    "memswap_limit": "the kubelet decides whether a node swaps",
    "init": "the first process is the service's own",
    "logging": "the kubelet rotates logs",
    "stop_signal": "the image's",
    "restart": "a service that ends is started again, however often",
    "ports": "none is published; `kubectl port-forward service/NAME 8000` reaches it from here",
}
KEPT_BY_KUBERNETES = {
    *("command", "environment", "healthcheck", "read_only", "cap_drop", "security_opt", "tmpfs", "cpus"),
    *("cpu_shares", "mem_limit", "stop_grace_period"),
}
BASE, ONE_NODE = "base", "overlays/one-node"
LONGEST_RUN = 7 * 24 * 3600  # seconds
RESULTS = "/results"  # in the load generator's pod
SHARES = 1024  # of a CPU, and what a container without a number of its own has
LABEL, ROLE = "app.kubernetes.io/name", "lab/role"


def manifests(config: Config, services: Iterable[str], replicas: Config | None = None) -> dict[str, str]:
    """Return files by path: a base with the load generators on nodes of their own, and an overlay for one node.

    Raises BadInput.
    """
    chosen = {name: config["services"][name] for name in services}
    comment = head("Kubernetes", chosen, KEPT_BY_KUBERNETES, LOST_IN_KUBERNETES)
    space = namespace(config["name"])
    files = {"namespace.yaml": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}]}
    for name, service in chosen.items():
        files[f"{name}.yaml"] = [workload(name, service, (replicas or {}).get(name, 1)), *headless(name, service)]
    files["network.yaml"] = [only_among_themselves()]
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    base = {**kustomization, "namespace": space, "resources": sorted(files)}
    anywhere = yaml([{"op": "remove", "path": "/spec/template/spec/affinity"}])
    patches = [{"target": {"kind": kind}, "patch": anywhere} for kind in ("Deployment", "Job")]
    return {
        **{f"{BASE}/{path}": comment + "---\n".join(map(yaml, documents)) for path, documents in files.items()},
        f"{BASE}/kustomization.yaml": comment + yaml(base),
        f"{ONE_NODE}/kustomization.yaml": yaml({**kustomization, "resources": ["../../base"], "patches": patches}),
    }


def namespace(project: str) -> str:
    """Return the name of a Compose project as Kubernetes takes it."""
    return project.replace("_", "-").strip("-")


def workload(name: str, service: Config, replicas: int) -> dict[str, Any]:
    """Return a Deployment; of the load generator a Job, which waits for what `kubectl exec` runs in it."""
    labels = {LABEL: name}
    template: dict[str, Any] = {
        "metadata": {"labels": {**labels, ROLE: role(name, service)}},
        "spec": pod(name, service),
    }
    if name != GENERATOR:
        spec = {"replicas": replicas, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels}}
        return resource("apps/v1", "Deployment", name, {**spec, "template": template})
    template["spec"]["restartPolicy"] = "Never"
    job = {"backoffLimit": 0, "activeDeadlineSeconds": LONGEST_RUN, "template": template}
    return resource("batch/v1", "Job", name, job)


def resource(version: str, kind: str, name: str, spec: Config) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def pod(name: str, service: Config) -> dict[str, Any]:
    where, waits = role(name, service), name == GENERATOR
    paths = enumerate(service.get("tmpfs") or ())
    volumes: dict[str, tuple[str, Config]] = {f"tmpfs-{n}": (path, {"medium": "Memory"}) for n, path in paths}
    volumes |= {"results": (RESULTS, {})} if waits else {}
    memory = {"memory": str(service["mem_limit"])} if "mem_limit" in service else {}
    cpus, shares = service.get("cpus"), service.get("cpu_shares", SHARES) / SHARES
    first = min(shares / 10, float(cpus or shares))  # cores; more than the limit is refused
    container = {
        "name": name,
        "image": service["image"],
        "imagePullPolicy": "IfNotPresent",
        # Compose's command: what follows the image's entry point
        "args": ["sleep", str(LONGEST_RUN)] if waits else service["command"],
        "env": [{"name": key, "value": str(value or "")} for key, value in (service.get("environment") or {}).items()],
        "resources": {
            "limits": {**({"cpu": str(cpus)} if cpus else {}), **memory},
            # A tenth of the shares: it says who comes first, and keeps no core from anybody.
            "requests": {"cpu": f"{first * 1000:.0f}m", **memory},
        },
        "securityContext": {
            "readOnlyRootFilesystem": bool(service.get("read_only")),
            "allowPrivilegeEscalation": "no-new-privileges:true" not in service.get("security_opt", ()),
            "capabilities": {"drop": service.get("cap_drop") or []},
        },
        "volumeMounts": [{"name": volume, "mountPath": path} for volume, (path, _) in volumes.items()],
        **({} if waits or is_unprobed(service) else probe(service["healthcheck"])),
    }
    apart = {"api": ("generators",), "targets": ("generators",), "generators": ("targets", "api")}[where]
    together = {"podAffinity": required([where])} if where == "targets" else {}  # a faster node must not decide
    return {
        "containers": [container],
        "volumes": [{"name": volume, "emptyDir": directory} for volume, (_, directory) in volumes.items()],
        "affinity": {"podAntiAffinity": required(apart), **together},
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": seconds(service.get("stop_grace_period", "10s")),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # its variables have the names of the lab's, as API_PORT
    }


def required(roles: Sequence[str]) -> dict[str, Any]:
    chosen = {"matchExpressions": [{"key": ROLE, "operator": "In", "values": list(roles)}]}
    term = {"labelSelector": chosen, "topologyKey": "kubernetes.io/hostname"}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def is_unprobed(service: Config) -> bool:
    healthcheck = service.get("healthcheck") or {}
    return bool(healthcheck.get("disable")) or healthcheck.get("test", ["NONE"])[:1] == ["NONE"]


def probe(healthcheck: Config) -> dict[str, Any]:
    """Return a startup probe alone: once it is up, a service is left to its work, as in compose/confined.yaml."""
    _, *words = healthcheck["test"]  # CMD
    every = seconds(healthcheck.get("start_interval", "5s"))
    return {
        "startupProbe": {
            "exec": {"command": [word.replace("$$", "$") for word in words]},  # here Kubernetes replaces nothing
            "periodSeconds": every,
            "timeoutSeconds": seconds(healthcheck["timeout"]),
            "failureThreshold": seconds(healthcheck.get("start_period", "1m")) // every,
        }
    }


def seconds(duration: str) -> int:
    """Return a duration of Compose, as 1h30m0s or 500ms, in whole seconds, at least one."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}
    parts = re.findall(r"([\d.]+)(ms|us|ns|h|m|s)", duration)
    return max(1, round(sum(float(number) * units[unit] for number, unit in parts)))


def headless(name: str, service: Config) -> list[dict[str, Any]]:
    """Return a Service without an address of its own: its name leads to the pod, and no proxy is in between."""
    ports = sorted({int(port) for port in service.get("expose") or ()})
    if not ports:
        return []
    named = [{"name": f"port-{port}", "port": port} for port in ports]
    return [resource("v1", "Service", name, {"clusterIP": "None", "selector": {LABEL: name}, "ports": named})]


def only_among_themselves() -> dict[str, Any]:
    """Return what stands in for Compose's network: nobody but the lab's pods reaches them."""
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}
    return resource("networking.k8s.io/v1", "NetworkPolicy", "only-among-themselves", spec)


def head(engine: str, services: Config, known: Iterable[str], lost: Mapping[str, str]) -> str:
    """Return a comment that names what the engine cannot express. Raises BadInput for what nobody has thought of."""
    used = {key for service in services.values() for key, value in service.items() if value is not None}
    if unknown := sorted(used - {*known, *lost, *OF_COMPOSE}):
        raise BadInput(
            f"{', '.join(unknown)} of compose.yaml cannot be written for {engine}. Leave out what needs it: a "
            "service with files of this machine (volumes) runs here alone."
        )
    words = [f"#   {key}: {why}\n" for key, why in lost.items() if key in used]
    first = f"# Written from compose.yaml by `python3 -m loadtests render`. {engine} cannot express:\n"
    return first + "".join(words) if words else first.replace(f" {engine} cannot express:", "")


def yaml(value: Any, depth: int = 0) -> str:
    """Return the value as YAML, its texts in double quotes: none of them is read as anything else."""
    pad = "  " * depth
    if isinstance(value, Mapping):
        return "".join(f"{pad}{key_text(key)}:{nested(item, depth)}" for key, item in value.items())
    return "".join(
        f"{pad}- {(yaml(item, depth + 1).lstrip() if holds(item) else scalar(item) + chr(10))}" for item in value
    )


def nested(value: Any, depth: int) -> str:
    return f"\n{yaml(value, depth + 1)}" if holds(value) else f" {scalar(value)}\n"


def holds(value: Any) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str) and bool(value)


def key_text(key: str) -> str:
    return key if PLAIN.fullmatch(key) else scalar(key)


def scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[^ -~]", lambda at: f"\\U{ord(at[0]):08x}", text)
