"""A question is a file: its docstring is the question and the lesson, EXPERIMENT what is measured, `judge` its answer.

The files of this folder are found by themselves; a new question is a new file.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType

from loadtests.errors import BadInput, did_you_mean
from loadtests.experiments import own_workload
from loadtests.experiments.own_workload import OWN_WORKLOAD
from loadtests.model.experiment import Experiment

DEFAULT = "external-concurrency"
RENAMED = {"fast-api": "api-latency"}  # it reads as FastAPI, which it is not about


def catalogue() -> Mapping[str, Experiment]:
    """Return every experiment of this folder by name."""
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    found = (of_module(module) for module in modules if hasattr(module, "EXPERIMENT"))
    return {experiment.name: experiment for experiment in found}


def of_module(module: ModuleType) -> Experiment:
    """Return the experiment of a file, whose name, docstring and `judge` belong to it."""
    experiment: Experiment = module.EXPERIMENT
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    return replace(experiment, name=name, lesson=inspect.getdoc(module) or "", judge=module.judge)


def named(text: str) -> list[Experiment]:
    """Return the experiments that 'fan-out,slots' names, each once; 'all' names every one. Raises BadInput."""
    if text.strip() == "all":
        return list(catalogue().values())
    return [find(name) for name in dict.fromkeys(word.strip() for word in text.split(","))]


def find(name: str) -> Experiment:
    """Return the experiment of this name. Raises BadInput."""
    experiments = catalogue()
    name = RENAMED.get(name, name)
    if name == OWN_WORKLOAD.name:  # not in the catalogue: it takes a project
        return replace(OWN_WORKLOAD, lesson=inspect.getdoc(own_workload) or "")
    if name not in experiments:
        near = did_you_mean(name.lower().replace("_", "-"), experiments) or "."
        raise BadInput(f"there is no experiment {name[:80]!r}{near} There are: {', '.join(experiments)}, all")
    return experiments[name]
