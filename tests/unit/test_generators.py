from __future__ import annotations

import pytest

from loadtests.errors import BadInput
from loadtests.experiments import find
from loadtests.host import topology
from loadtests.host.generators import CARRIED, chosen
from loadtests.model import knobs
from loadtests.model.load_level import rates, users
from loadtests.model.run_options import RunOptions

DEFAULTS = topology.declared(topology.text())
DEFAULT = find("external-concurrency")


def test_a_load_that_one_can_carry_gets_one_however_many_cores_there_are() -> None:
    number, why = chosen(DEFAULT, RunOptions(users=users(100)), DEFAULTS, cores=64)
    assert number == 1
    assert why == "GENERATORS=auto: 1 load generator; up to 100 pages/s need 1."


def test_a_load_that_needs_more_gets_as_many_as_there_are_cores_beside_target_and_api() -> None:
    options = RunOptions(rate=rates(3 * CARRIED))
    assert chosen(DEFAULT, options, DEFAULTS, cores=64)[0] == 3
    number, why = chosen(DEFAULT, options, DEFAULTS, cores=4)
    assert number == 2
    assert why.endswith("need 3, and this machine has 4 cores, of which target and api take 2.")
    assert chosen(DEFAULT, options, DEFAULTS | {"ASGI_WORKERS": "8"}, cores=4)[0] == 1


def test_variables_of_other_programs_say_nothing_of_the_cores_that_serve() -> None:
    options = RunOptions(rate=rates(3 * CARRIED))
    assert chosen(DEFAULT, options, DEFAULTS | {"CELERY_WORKERS": "auto", "MY_WORKERS": "9"}, cores=5)[0] == 3


def test_users_of_pages_that_do_not_wait_get_all_the_cores_that_are_left() -> None:
    number, why = chosen(DEFAULT, RunOptions(users=users(10), knobs={"latency": "0"}), DEFAULTS, cores=8)
    assert number == 6
    assert "as many pages as the target serves" in why


def test_the_number_is_auto_or_one_to_64() -> None:
    assert (knobs.generators("auto"), knobs.generators("64")) == (None, 64)
    for wrong in ("0", "65", "two", "", "1.5", "-1"):
        with pytest.raises(BadInput, match="GENERATORS must be auto or a whole number from 1 to 64"):
            knobs.generators(wrong)


@pytest.mark.parametrize(("generators", "typed"), [(None, "auto"), (3, "3")])
def test_the_command_that_repeats_a_run_has_as_many(generators: int | None, typed: str) -> None:
    assert RunOptions(generators=generators).variables == {"GENERATORS": typed}
    assert RunOptions(generators=1).variables == {}
