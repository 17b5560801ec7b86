"""What every experiment has to be; whether it sees what it predicts is for real servers to say."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests import experiments
from loadtests.analysis import noise
from loadtests.analysis.capacity import predict as predicted
from loadtests.analysis.capacity import predict_arm
from loadtests.analysis.verdict import verdict
from loadtests.errors import BadInput
from loadtests.experiments.judging import expected
from loadtests.generator.plan import NORMAL, QUICK, plan
from loadtests.host import topology
from loadtests.model import knobs
from loadtests.model.experiment import Arm, Experiment, Point
from loadtests.model.load_level import LoadLevel
from loadtests.model.prediction import Deployment, Prediction
from loadtests.model.run_options import RunOptions, refuse_decided
from loadtests.model.server_metrics import Inside
from loadtests.model.service import GENERATOR
from loadtests.model.settings import Settings
from loadtests.report import lessons, predict
from loadtests.report.plots import PLOTS
from tests.unit.factories import SETTINGS

CATALOGUE = experiments.catalogue()
DEFAULTS = topology.declared(topology.text())
every_experiment = pytest.mark.parametrize("experiment", CATALOGUE.values(), ids=list(CATALOGUE))

# They predict that nothing differs.
TIES = {"noise", "class-based"}


def same_everywhere(experiment: Experiment) -> list[Point]:
    """Every arm at every step serves 50 pages/s in a second each: nothing was seen."""
    return [
        Point(
            arm=arm,
            level=step,
            slots=10,
            goodput=50.0,
            goodputs=(50.0,),
            predicted=predicted(SETTINGS, arm.strategy, Deployment(10), step, after=5.0),
            p50=1.0,
            p95=1.0,
            noise_floor=noise.FLOOR,
            pages=500,
            failures=0,
            seconds=10.0,
            first_byte=1.0,
            cpu_per_page=0.01,
            inside=Inside(memory=50e6, threads=20, calls_in_flight=500, api_calls_answered=100, api_calls_abandoned=0),
        )
        for arm in experiment.arms
        for step in sorted(experiment.levels)
    ]


MOST_WORDS = 15  # of a headline


@every_experiment
def test_arms_that_do_not_differ_confirm_nothing(experiment: Experiment) -> None:
    judgement = experiment.judge(same_everywhere(experiment))
    assert judgement.confirmed == (experiment.name in TIES)
    assert judgement.sentence.endswith(".")
    headline, colon, _ = judgement.sentence.partition(": ")
    assert colon
    assert len(headline.split()) <= MOST_WORDS
    assert len(judgement.key) <= 3
    assert "nan" not in " ".join((judgement.sentence, *judgement.key)).lower().split()


@every_experiment
@pytest.mark.parametrize("asked", ["7", "1,2,3,500"])
def test_other_steps_of_load_end_in_a_verdict_or_are_refused_before_anything_is_measured(
    experiment: Experiment, asked: str
) -> None:
    steps = knobs.users(asked)
    if any(step.knobs for step in experiment.levels):
        with pytest.raises(BadInput, match="takes no USERS="):
            RunOptions(users=steps).refuse_for(experiment, (), DEFAULTS)
    else:
        RunOptions(users=steps).refuse_for(experiment, (), DEFAULTS)
        found = verdict(experiment, same_everywhere(replace(experiment, levels=steps)), [])
        assert found.status in {"confirmed", "not confirmed", "invalid"}
        assert found.sentence.endswith(".")


@every_experiment
def test_what_nobody_could_read_confirms_nothing(experiment: Experiment) -> None:
    blind = [replace(point, cpu_per_page=None, inside=Inside()) for point in same_everywhere(experiment)]
    assert verdict(experiment, blind, []).status in {"not confirmed", "invalid"} or experiment.name in TIES


def test_asgi_has_to_serve_more_to_be_called_ahead() -> None:
    experiment = CATALOGUE["external-concurrency"]
    steps = knobs.users("11")
    wsgi, asgi = same_everywhere(replace(experiment, levels=steps))
    found = verdict(
        experiment, [replace(wsgi, goodput=9.9, goodputs=(9.9,)), replace(asgi, goodput=8.9, goodputs=(8.9,))], []
    )
    assert found.status == "not confirmed"


def test_a_difference_below_the_noise_floor_is_none() -> None:
    experiment = CATALOGUE["external-concurrency"]
    wsgi, asgi = same_everywhere(replace(experiment, levels=knobs.users("11")))
    pair = replace(wsgi, goodput=10.0, goodputs=(10.0,)), replace(asgi, goodput=11.0, goodputs=(11.0,))
    assert not verdict(experiment, pair, []).sentence.startswith("No difference")
    noisy = [replace(point, noise_floor=0.2) for point in pair]
    assert verdict(experiment, noisy, []).sentence.startswith("No difference")


def test_a_gain_below_the_noise_floor_is_none() -> None:
    experiment = CATALOGUE["api-latency"]
    served = {"wsgi": (100.0, 100.0, 50.0, 50.0), "asgi": (110.0, 110.0, 90.0, 90.0)}
    seen = [
        replace(point, goodput=served[point.arm.target][experiment.levels.index(point.level)])
        for point in same_everywhere(experiment)
    ]
    assert verdict(experiment, seen, []).status == "not confirmed"
    cannot_tell = verdict(experiment, [replace(point, noise_floor=0.2) for point in seen], [])
    assert cannot_tell.status == "invalid"
    assert "within this machine's noise" in cannot_tell.sentence
    slower = [replace(point, goodput=90.0 if point.goodput == 110.0 else point.goodput) for point in seen]
    assert verdict(experiment, slower, []).status == "confirmed"


def django_threads(threads: tuple[float, ...], cpu: tuple[float, ...]) -> list[Point]:
    """Return what `django-threads` measures: threads, and CPU seconds per page, of each arm in turn."""
    points = same_everywhere(CATALOGUE["django-threads"])
    return [
        replace(point, cpu_per_page=seconds, inside=replace(point.inside, threads=number))
        for point, number, seconds in zip(points, threads, cpu, strict=True)
    ]


@pytest.mark.parametrize(
    ("threads", "cpu", "status"),
    [
        ((60, 8, 7), (0.0020, 0.0019, 0.0017), "confirmed"),
        ((60, 8, 40), (0.0020, 0.0019, 0.0017), "not confirmed"),
        ((60, 40, 7), (0.0020, 0.0019, 0.0017), "not confirmed"),
        ((60, 8, 7), (0.0020, 0.0019, 0.00199), "not confirmed"),
    ],
    ids=["fewer and cheaper", "shared not fewer", "no receivers not fewer", "not cheaper"],
)
def test_django_without_a_thread_for_each_request_has_fewer_threads_and_takes_less_cpu(
    threads: tuple[float, ...], cpu: tuple[float, ...], status: str
) -> None:
    assert verdict(CATALOGUE["django-threads"], django_threads(threads, cpu), []).status == status


def test_what_workers_compute_is_judged_by_the_core_of_each() -> None:
    wsgi, asgi = same_everywhere(replace(CATALOGUE["cpu-bound"], levels=knobs.users("16")))
    two = [replace(point, goodput=38.0, goodputs=(38.0,), workers=2, cores=2.0) for point in (wsgi, asgi)]
    found = verdict(CATALOGUE["cpu-bound"], two, [])
    assert found.status == "confirmed"
    assert "with its workers WSGI had 2.00, ASGI 2.00" in found.sentence
    alone = [two[0], replace(two[1], goodput=19.0, goodputs=(19.0,), workers=1, cores=1.0)]
    assert verdict(CATALOGUE["cpu-bound"], alone, []).status == "confirmed"
    assert verdict(CATALOGUE["cpu-bound"], [replace(point, cores=1.0) for point in two], []).status == "not confirmed"


def test_ten_thousand_calls_say_what_limits_them_where_they_are_not_carried() -> None:
    experiment = CATALOGUE["ten-thousand"]
    wsgi, asgi = same_everywhere(replace(experiment, levels=knobs.users("1000")))
    carried = replace(asgi, goodput=985.0, goodputs=(985.0,), inside=Inside(calls_in_flight=9870.0))
    held = replace(wsgi, goodput=80.0, goodputs=(80.0,))
    found = verdict(experiment, [held, carried], [])
    assert (found.status, found.headline) == ("confirmed", "ASGI keeps 9,870 calls in flight")
    threads = replace(wsgi, goodput=980.0, goodputs=(980.0,), slots=1000)
    assert verdict(experiment, [threads, carried], []).status == "confirmed", "both have room for all users"
    [level] = knobs.rates("100")
    arrivals = [replace(point, level=level, goodput=98.0, goodputs=(98.0,)) for point in (held, carried)]
    assert verdict(experiment, arrivals, []).status == "not confirmed", "80 slots are not enough for 100 pages of 1 s"
    arrivals[0] = replace(arrivals[0], slots=102)
    assert verdict(experiment, arrivals, []).status == "confirmed", "102 are"
    short = replace(expected(asgi), page_time=0.1)
    arrivals = [replace(point, predicted=short, slots=80) for point in arrivals]
    assert verdict(experiment, arrivals, []).status == "confirmed", "and 80 for 100 pages of 0.1 s"
    cpu = predict_arm(asgi.arm, SETTINGS, Deployment(None, cores=2.0, machine=2.0, workers=8), asgi.level)
    spent = replace(carried, goodput=150.0, goodputs=(150.0,), cpu_per_page=0.008, predicted=cpu)
    found = verdict(experiment, [held, spent], [])
    assert found.status == "not confirmed"
    assert "limited by cpu: its pages took 1.20 cores at 8.00 ms each" in found.sentence


@pytest.mark.parametrize(("workers", "status"), [(2, "confirmed"), (1, "not confirmed")])
def test_each_worker_has_an_event_loop_that_a_blocking_call_stops(workers: int, status: str) -> None:
    clean, blocking, threads = same_everywhere(replace(CATALOGUE["blocking-call"], levels=knobs.users("30")))
    late = replace(blocking, goodput=20.0, inside=Inside(loop_lag_p99=0.5), workers=workers)
    assert verdict(CATALOGUE["blocking-call"], [clean, late, threads], []).status == status


def hanging(**failed_after: float) -> list[Point]:
    """What `timeouts` predicts, but for how long it took an arm to fail, by its strategy."""
    experiment = CATALOGUE["timeouts"]
    served = {"partial": (50.0, 0.4), "partial_threads": (25.0, 0.8)}
    times = {"threadpool": 1.6, "gather": 0.81, "deadline": 0.41, **failed_after}
    return [
        replace(point, goodput=served[point.arm.strategy][0], p50=served[point.arm.strategy][1])
        if point.arm.strategy in served
        else replace(point, goodput=0.0, pages=0, failures=100, failed_after=times[point.arm.strategy])
        for point in same_everywhere(experiment)
    ]


def test_a_deadline_has_to_give_up_before_the_calls_timeout() -> None:
    experiment = CATALOGUE["timeouts"]
    assert verdict(experiment, hanging(), []).status == "confirmed"
    assert verdict(experiment, hanging(deadline=0.81), []).status == "not confirmed"


@pytest.mark.parametrize(("strategy", "answered"), [("gather", 600), ("threadpool", 0)])
def test_who_is_cancelled_is_for_the_api_to_say(strategy: str, answered: float) -> None:
    experiment = CATALOGUE["client-gone"]
    all_left = [replace(point, pages=0, failures=100) for point in same_everywhere(experiment)]

    def told(point: Point, answered: float) -> Point:
        return replace(point, inside=Inside(api_calls_answered=answered, api_calls_abandoned=600 - answered))

    as_predicted = [told(point, 0 if point.arm.strategy == "gather" else 600) for point in all_left]
    assert verdict(experiment, as_predicted, []).status == "confirmed"
    other = [told(point, answered) if point.arm.strategy == strategy else point for point in as_predicted]
    assert verdict(experiment, other, []).status == "not confirmed"


def test_queries_side_by_side_have_to_take_the_sum() -> None:
    experiment = CATALOGUE["database"]
    seen = [
        replace(point, p50=3.0 if point.arm.strategy == "orm_gather" else 1.0) for point in same_everywhere(experiment)
    ]
    assert verdict(experiment, seen, []).status == "confirmed"
    at_once = [replace(point, p50=1.0) for point in seen]
    assert verdict(experiment, at_once, []).status == "not confirmed"


@every_experiment
def test_a_lesson_asks_predicts_shows_and_advises(experiment: Experiment) -> None:
    assert experiment.question.endswith("?")
    for part in ("Predict:", "You will see", "In your project:"):
        assert part in experiment.lesson


@every_experiment
def test_its_plots_are_there_and_its_claims_have_a_source(experiment: Experiment) -> None:
    assert set(experiment.plots) <= set(PLOTS)
    assert experiment.claims
    assert all(claim.source and claim.url.startswith("http") for claim in experiment.claims)


@every_experiment
def test_its_arms_differ_and_have_names_of_their_own(experiment: Experiment) -> None:
    assert len({arm.name for arm in experiment.arms}) == len(experiment.arms) > 1
    assert experiment.levels


def planned(experiment: Experiment, *, quick: bool) -> float:
    """Seconds of load, with compose.yaml's defaults."""
    lab = predict.Lab(topology.services(experiment.deployed({}).deployment), machine=math.inf, limited=True)
    if quick:
        experiment = experiment.quickened()
    settings = RunOptions().settings(experiment, lab.services[GENERATOR].environment)

    def expected(arm: Arm, step: LoadLevel, turned: Settings) -> Prediction:
        return predict_arm(arm, turned, predict.deployment(lab.services[arm.target], lab), step)

    steps = plan(experiment, settings, expected, QUICK if quick else NORMAL)
    return math.fsum(step.seconds for step in steps)


@every_experiment
def test_it_takes_as_long_as_it_says(experiment: Experiment) -> None:
    lengths = tuple(planned(experiment, quick=quick) for quick in (False, True))
    assert experiment.seconds == pytest.approx(lengths, rel=0.2, abs=1), "seconds in its file"


def test_all_of_them_together_take_less_than_twenty_minutes_and_quick_less_than_five() -> None:
    for quick, minutes in ((False, 18), (True, 5)):  # starting and ending the runs comes on top
        seconds = [experiment.seconds[quick] for experiment in CATALOGUE.values()]
        assert math.fsum(seconds) < minutes * 60, sorted(zip(seconds, CATALOGUE, strict=True))


def test_what_an_experiment_sets_itself_is_refused_where_it_is_asked_for() -> None:
    for name, variable in (("timeouts", "CALL_TIMEOUT"), ("api-latency", "LATENCY"), ("threads-vs-tasks", "FAN_OUT")):
        experiment = experiments.find(name)
        with pytest.raises(BadInput, match=f"^{variable} is set by {name} itself. Leave {variable} out"):
            refuse_decided(experiment, {"SEED", variable})
        refuse_decided(experiment, {"SEED"})
    refuse_decided(experiments.find("database"), {"FAN_OUT"})  # which only one of its arms turns


def test_what_an_experiment_proposes_gives_way_to_what_is_asked_for() -> None:
    experiment = CATALOGUE["ten-thousand"]
    refuse_decided(experiment, {"ASGI_WORKERS"})
    assert experiment.deployed({}).deployment["ASGI_WORKERS"] == "8"
    asked = experiment.deployed({"ASGI_WORKERS": "16", "API_CPUS": ""}).deployment
    assert "ASGI_WORKERS" not in asked, "the environment has it"
    assert asked["API_CPUS"] == "0"


def test_several_are_named_by_commas_and_all_by_one_word() -> None:
    assert experiments.named("fan-out, slots,fan-out") == [CATALOGUE["fan-out"], CATALOGUE["slots"]]
    assert experiments.named("all") == list(CATALOGUE.values())


def test_the_document_of_the_lessons_is_as_the_docstrings_are(root: Path) -> None:
    written = (root / "docs" / "experiments.md").read_text()
    assert written == lessons.document(CATALOGUE.values()), "`make docs` writes it anew"
