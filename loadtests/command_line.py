"""The command line: `python -m loadtests --help`. The Makefile types it for you."""

from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtests import experiments, knobs, variables
from loadtests.arrivals import SHAPES
from loadtests.errors import BadInput, ExitCode, Interrupted, LabError
from loadtests.output import Output
from loadtests.step import amounts
from loadtests.variables import LOAD, Variables

DEFAULT_EXPERIMENT = "external-concurrency"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status. What a command raises becomes a sentence on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = None
    try:
        if words[:1] != ["measure"]:  # whose environment is compose.yaml's
            given = variables.gather(os.environ)
        options = parser(given).parse_args(words)
        if given and options.takes is not None:
            given.check(options.name, options.takes, deployment=options.deployment)
        status = int(options.command(options))
        sys.stdout.flush()
    except LabError as error:
        sentence = with_origin(str(error), words, given) if isinstance(error, BadInput) else str(error)
        complain(sentence, error.details)
        return ExitCode.NOT_UP
    except (Interrupted, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # whatever it is, it is no verdict
        complain(
            f"an unexpected error ended the command: {type(error).__name__}: {error}. What was measured until then "
            "is in the run's folder. If nothing on this machine explains the error, please report it with these lines:",
            traceback.format_exc(),
        )
        return ExitCode.NOT_UP
    if Output.failure:
        complain(f"not all output could be written: {Output.failure.strerror}")
        return ExitCode.NOT_UP
    return status


def complain(sentence: str, details: str = "") -> None:
    print(f"loadtests: {sentence}", file=sys.stderr)
    if details:
        print(indent(details), file=sys.stderr)


def with_origin(sentence: str, words: Sequence[str], given: Variables | None) -> str:
    """Say also where the variable that begins the sentence comes from, unless an option gave its value."""
    name = re.match(r"[A-Z][A-Z0-9_]*\b", sentence)
    option = f"--{name[0].lower().replace('_', '-')}" if name else ""
    if not name or given is None or any(word.partition("=")[0] == option for word in words):
        return sentence
    return f"{sentence.rstrip('.')}. {origin}" if (origin := given.origin(name[0])) else sentence


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise BadInput(f"{message[:200]}; `python3 -m loadtests --help` shows what is known")


def parser(given: Variables | None) -> Parser:
    top = Parser(
        prog="python3 -m loadtests",
        description="WSGI or ASGI, for our workload? Measures it. Every option is also a variable: USERS=1,10,50.",
    )
    # takes: the variables of a command's options, None where they are not checked; deployment: and compose.yaml's.
    top.set_defaults(given=given, takes=None, deployment=False)
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="name")

    run = commands.add_parser("run", help="bring the lab up, measure, write the report, bring it down")
    add_load(run, os.environ)
    add_runtime(run)
    run.set_defaults(command=run_command, takes=(*LOAD, "RUNTIME"), deployment=True)

    up = commands.add_parser("up", help="bring the lab up with Locust's web UI, until Ctrl-C")
    add_runtime(up)
    up.set_defaults(command=up_command, takes=("RUNTIME",), deployment=True)

    predict = commands.add_parser("predict", help="what theory predicts for these knobs, without any load")
    add_load(predict, os.environ)
    add_runtime(predict)
    predict.set_defaults(command=predict_command, takes=(*LOAD, "RUNTIME"), deployment=True)

    claims = commands.add_parser("claims", help="run every experiment and write down which claims hold")
    add_load(claims, {**os.environ, "EXPERIMENT": os.environ.get("EXPERIMENT") or "all"})
    add_runtime(claims)
    claims.add_argument(
        "--write-to", default="docs/claims.md", metavar="FILE", help="the document (default: %(default)s)"
    )
    claims.set_defaults(command=claims_command, takes=(*LOAD, "RUNTIME"), deployment=True)

    listing = commands.add_parser("list", help="the experiments, their questions and how long each takes")
    listing.add_argument("--document", action="store_true", help="as docs/experiments.md has them")
    listing.set_defaults(command=list_command, takes=())

    compared = commands.add_parser("compare", help="what changed between two runs, beyond the noise or not")
    compared.add_argument("--a", default=os.environ.get("A", ""), metavar="A", help="a run's folder in results/")
    compared.add_argument("--b", default=os.environ.get("B", ""), metavar="B", help="another, as in results/latest")
    compared.set_defaults(command=compare_command, takes=("A", "B"))

    install = commands.add_parser("install", help="make the virtual environment that the lab or its tests need")
    install.add_argument("lock", choices=("lab", "dev"))
    install.set_defaults(command=install_command)

    measure = commands.add_parser("measure", help="measure targets that are up (run starts it, inside the lab)")
    add_load(measure, {})  # its environment is compose.yaml's: defaults, not what was asked for
    measure.add_argument("--folder", required=True, help="the run's folder, which exists")
    measure.set_defaults(command=measure_command)
    return top


def add_load(command: argparse.ArgumentParser, asked: Mapping[str, str]) -> None:
    """`asked`: where an option that is not given is looked up, by its variable."""

    def option(name: str, help_text: str, default: str = "") -> None:
        variable = name.upper().replace("-", "_")
        command.add_argument(f"--{name}", default=asked.get(variable) or default, metavar=variable, help=help_text)

    option("experiment", "which questions to ask, as in fan-out,slots (`list` shows them)", DEFAULT_EXPERIMENT)
    option("users", "the steps of load, as in 1,10,50 (default: the experiment's)")
    option("rate", "pages per second that arrive whether or not the target keeps up, as in 20,40,80, in place of users")
    option("think", "seconds that users think after a page, on average (exponential; default: none)")
    option("arrivals", f"the shape of what arrives: {', '.join(SHAPES)} (default: the experiment's, mostly poisson)")
    option("repeats", "how often to measure everything (default: the experiment's, mostly 1)")
    for knob in knobs.KNOBS:
        option(knob.name.replace("_", "-"), f"{knob.help} ({knob.minimum:g}–{knob.maximum:g})")
    command.add_argument(
        "--quick",
        nargs="?",
        const="yes",
        default=asked.get("QUICK") or "no",
        metavar="yes|no",
        help="under 40 s: a latency of 0.2 s and short steps (variable: QUICK=1)",
    )


def add_runtime(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--runtime",
        default=os.environ.get("RUNTIME") or "auto",
        metavar="RUNTIME",
        help="auto (Docker when an engine answers), docker or process",
    )


def check_load(options: argparse.Namespace) -> None:
    """Replace the texts of the options by their values, before anything is started. Raises BadInput."""
    options.quick = knobs.switch("QUICK", options.quick)
    options.experiments = experiments.names(options.experiment)
    options.users = knobs.users(options.users) if options.users else ()
    options.rate = knobs.rates(options.rate) if options.rate else ()
    options.think = knobs.THINK.parse(options.think) if options.think else None
    options.arrivals = knobs.arrivals(options.arrivals) if options.arrivals else ""
    options.repeats = knobs.repeats(options.repeats) if options.repeats else None
    asked = {knob.variable for knob in knobs.KNOBS if getattr(options, knob.name)}
    asked |= {name for name in options.given.known if options.given.environment.get(name)} if options.given else set()
    for name in options.experiments:
        experiments.refuse_other_steps(experiments.find(name), (*options.users, *options.rate))
        experiments.refuse_shape(experiments.find(name), options)
        experiments.refuse_decided(experiments.find(name), asked)
    for knob in knobs.KNOBS:
        if text := getattr(options, knob.name):
            knob.parse(text)
    # Inside the load generator's service the environment holds every default.
    defaults = variables.declared(variables.topology()) if options.given else {}
    for name in options.experiments:
        experiments.refuse_together(experiments.find(name), options, {**defaults, **os.environ})


def load_arguments(options: argparse.Namespace, experiment: str) -> list[str]:
    """The same options, for the load generator."""
    words = [f"--experiment={experiment}"]
    if options.repeats:
        words.append(f"--repeats={options.repeats}")
    words += [f"--{name}={amounts(steps)}" for name in ("users", "rate") if (steps := getattr(options, name))]
    words += [f"--think={options.think:g}"] if options.think is not None else []
    words += [f"--arrivals={options.arrivals}"] if options.arrivals else []
    if options.quick:
        words.append("--quick")
    asked = {knob.name: getattr(options, knob.name) for knob in knobs.KNOBS}
    return words + [f"--{name.replace('_', '-')}={text}" for name, text in asked.items() if text]


def choose_runtime(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Settle where the services run; local processes go on inside the virtual environment. Raises LabError."""
    from loadtests import launch, results  # noqa: PLC0415  # not inside the load generator's container

    results.refuse_colon()
    options.runtime = launch.choose_runtime(options.runtime)
    if options.runtime == "process":
        options.given.refuse_limits()
        launch.in_virtualenv([options.name, *arguments, "--runtime=process"])


def run_command(options: argparse.Namespace) -> int:
    from loadtests import launch  # noqa: PLC0415

    check_load(options)
    choose_runtime(options, load_arguments(options, options.experiment))
    ended = launch.measure(options, lambda experiment: load_arguments(options, experiment))
    return max(one.code for one in ended)


def claims_command(options: argparse.Namespace) -> int:
    from loadtests import launch  # noqa: PLC0415
    from loadtests.report import claims  # noqa: PLC0415

    check_load(options)
    launch.check_document(options.write_to)
    choose_runtime(options, [*load_arguments(options, options.experiment), f"--write-to={options.write_to}"])

    def arguments(experiment: str) -> list[str]:
        return load_arguments(options, experiment)

    typed = launch.claims_command_line(options)
    ended = {one.experiment.name: one for one in launch.measure(options, arguments)}
    disturbed = [name for name, one in ended.items() if one.code == ExitCode.INVALID]
    if disturbed and ended_by_itself(ended.values()):
        print(f"\nOnce more, because the measurement did not hold: {', '.join(disturbed)}", flush=True)
        options.experiments = disturbed
        try:
            ended |= {one.experiment.name: one for one in launch.measure(options, arguments)}
        except LabError as error:  # what was measured is not lost for it
            why = f"the first result stands, because it could not be measured again: {error}\n{error.details}"
            print(f"{', '.join(disturbed)}: {why.rstrip()}", file=sys.stderr, flush=True)
    if not ended_by_itself(ended.values()):
        print(f"{options.write_to} is left as it was: not all was measured.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    results = [claims.result(ended[name].experiment, ended[name].folder) for name in sorted(ended)]
    launch.write_document(options.write_to, claims.document(results, typed))
    launch.write_document(str(Path(options.write_to).with_suffix(".json")), claims.kept(results, typed))
    return max(one.code for one in ended.values())


def ended_by_itself(runs: Iterable[Any]) -> bool:
    return all(run.code != ExitCode.INTERRUPTED for run in runs)


def up_command(options: argparse.Namespace) -> int:
    from loadtests import launch  # noqa: PLC0415

    choose_runtime(options, [])
    return launch.serve(options)


def predict_command(options: argparse.Namespace) -> int:
    from loadtests import launch  # noqa: PLC0415

    check_load(options)
    options.runtime = launch.choose_runtime(options.runtime)
    if options.runtime == "process":
        options.given.refuse_limits()
    launch.in_virtualenv(["predict", *load_arguments(options, options.experiment), f"--runtime={options.runtime}"])
    from loadtests import predict  # noqa: PLC0415  # needs packages of the virtual environment

    return predict.main(options)


def list_command(options: argparse.Namespace) -> int:
    from loadtests.report import lessons  # noqa: PLC0415

    if options.document:
        print(lessons.document(experiments.catalogue().values()), end="")
        return 0
    for experiment in experiments.catalogue().values():
        normal, quick = (experiment.probe or experiment).seconds
        print(f"{experiment.name}\n    {experiment.question}\n    about {normal:.0f} s of load, quick {quick:.0f} s")
    return 0


def compare_command(options: argparse.Namespace) -> int:
    from loadtests import launch  # noqa: PLC0415
    from loadtests.report import compare  # noqa: PLC0415

    if compare.have_repeats(options.a, options.b):
        launch.in_virtualenv(["compare", f"--a={options.a}", f"--b={options.b}"])
    return compare.main(options.a, options.b)


def install_command(options: argparse.Namespace) -> int:
    from loadtests.runtime import virtualenv  # noqa: PLC0415

    virtualenv.ensure(options.lock)
    return 0


def measure_command(options: argparse.Namespace) -> int:
    check_load(options)
    from loadtests import run  # noqa: PLC0415  # imports Locust, which monkey-patches

    return run.main(options)


def indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
