"""What somebody asks of a run, and what an experiment makes of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from loadtests.errors import BadInput
from loadtests.model.experiment import Experiment
from loadtests.model.knobs import AUTO, KNOBS
from loadtests.model.load_level import LoadLevel, amounts, shaped
from loadtests.model.settings import Settings


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What is asked for; the experiment decides what is not, and after it compose.yaml.

    `users` and `rate`: load levels of a closed and of an open loop. `think`: seconds. `knobs`: texts by knob name.
    `generators`: how many load generators share the load; None: as many as it needs.
    """

    users: tuple[LoadLevel, ...] = ()
    rate: tuple[LoadLevel, ...] = ()
    think: float | None = None
    arrivals: str = ""
    repeats: int | None = None
    quick: bool = False
    generators: int | None = 1
    knobs: Mapping[str, str] = field(default_factory=dict)

    def applied_to(self, experiment: Experiment) -> Experiment:
        """Return the experiment as it is to be run."""
        asked = experiment.quickened() if self.quick else experiment
        levels = shaped((*self.users, *self.rate) or asked.levels, self.think, self.arrivals)
        return replace(asked, levels=levels, repeats=self.repeats or asked.repeats)

    def settings(self, experiment: Experiment, defaults: Mapping[str, str]) -> Settings:
        """Return what is asked for, else what the experiment sets, else the `defaults` by variable. Raises BadInput."""
        texts = {knob.name: defaults.get(knob.variable, "") for knob in KNOBS}
        texts |= {name: str(value) for name, value in experiment.knobs.items()}
        return Settings.parse({**texts, **self.knobs})

    @property
    def variables(self) -> dict[str, str]:
        """Return what is asked for as variables, for the command that repeats a run."""
        asked = {
            "QUICK": "1" if self.quick else "",
            "USERS": amounts(self.users),
            "THINK": "" if self.think is None else f"{self.think:g}",
            "RATE": amounts(self.rate),
            "ARRIVALS": self.arrivals,
            "REPEATS": str(self.repeats or ""),
            "GENERATORS": AUTO if self.generators is None else str(self.generators) if self.generators > 1 else "",
            **{knob.variable: self.knobs.get(knob.name, "") for knob in KNOBS},
        }
        return {name: value for name, value in asked.items() if value}

    @property
    def arguments(self) -> list[str]:
        """Return what is asked for as words of the command line, for the load generator."""
        return [f"--{name.lower().replace('_', '-')}={value}" for name, value in self.variables.items()]

    def refuse_for(self, experiment: Experiment, variables: Collection[str], defaults: Mapping[str, str]) -> None:
        """Raise BadInput where the experiment cannot be run as it is asked for.

        `variables`: the names of those that are set; `defaults`: compose.yaml's.
        """
        levels = (*self.users, *self.rate)
        turned = sorted({name.upper() for level in experiment.levels for name in level.knobs})
        if turned and levels:
            names = ", ".join(turned)
            raise BadInput(f"{experiment.name} turns {names} from step to step, so it takes no USERS= and no RATE=")
        kinds = {level.is_open for level in levels or experiment.levels}
        if self.arrivals and True not in kinds:
            raise BadInput(f"ARRIVALS is the shape of what arrives (RATE=), and nothing arrives in {experiment.name}")
        if self.think is not None and False not in kinds:
            raise BadInput(f"THINK is what users do after a page (USERS=), and {experiment.name} has none")
        refuse_decided(experiment, {*variables, *self.variables})
        asked = self.applied_to(experiment)
        settings = self.settings(asked, defaults)
        for arm in asked.arms:
            for level in asked.levels:
                settings.turned({**arm.knobs, **level.knobs})


def refuse_decided(experiment: Experiment, variables: Collection[str]) -> None:
    """Raise BadInput where variables are set that the experiment sets in each of its measurements."""
    turned = [
        {name.upper() for name in (*arm.knobs, *level.knobs)}
        for variant in (experiment, experiment.quickened())
        for arm in variant.arms
        for level in variant.levels
    ]
    decided = {*experiment.deployment, *set.intersection(*turned or [set()])}
    for name in sorted(decided & set(variables)):
        raise BadInput(f"{name} is set by {experiment.name} itself. Leave {name} out, or choose another EXPERIMENT.")
