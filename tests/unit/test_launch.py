from __future__ import annotations

import re
from pathlib import Path

from loadtests import knobs, launch
from loadtests.runtime import LOGIN

# Of the web UI, or set by what runs the file.
OF_NO_RUN = {"STRATEGY", "SAVE_TO", "LAB_RUNTIME", LOGIN}


def test_the_command_that_repeats_a_run_has_every_variable_of_compose_yaml_that_a_run_depends_on(root: Path) -> None:
    lines = (root / "compose.yaml").read_text().splitlines()
    variables = {name for line in lines for name in re.findall(r"\$\{(\w+):-", line.partition("#")[0])}
    ports = {name for name in variables if name.endswith("_PORT")}
    assert sorted(launch.REPEATED) == sorted(variables - ports - OF_NO_RUN - {knob.variable for knob in knobs.KNOBS})
