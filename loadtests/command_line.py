"""The command line: `python -m loadtests --help`. The Makefile types it for you."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import traceback
import webbrowser
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import urlsplit

from loadtests import ROOT, experiments
from loadtests.errors import BadInput, ExitCode, Interrupted, LabError
from loadtests.experiments import own_workload
from loadtests.experiments.own_workload import OWN_WORKLOAD
from loadtests.host import variables
from loadtests.host.output import Output
from loadtests.host.variables import LOAD, OF_CLUSTERS, OF_UP, OWN, Variables
from loadtests.model import knobs
from loadtests.model.arrivals import SHAPES
from loadtests.model.run_options import RunOptions
from loadtests.model.service import CLUSTERS

if TYPE_CHECKING:
    from loadtests.host.elsewhere import Elsewhere
    from loadtests.host.launch import RunOutcome
    from loadtests.host.own import OwnProject
    from loadtests.model.summary import Summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status. What a command raises becomes a sentence on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = None
    try:
        if words[:1] not in (["measure"], ["assist"]):  # whose environment is compose.yaml's
            given = variables.gather(os.environ)
        options = parser(given).parse_args(words)
        if given and options.takes is not None:
            given.check(options.name, options.takes)
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
        print(indent(details.rstrip("\n"), "    "), file=sys.stderr)


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


EXAMPLES = {
    "run": """
  make loadtest                            WSGI against ASGI, 1 to 100 users
  make loadtest USERS=50 LATENCY=.3 QUICK=1
                                           your numbers, in half a minute
  make loadtest EXPERIMENT=fan-out,slots   two questions of `make experiments`
  make loadtest APP=~/shop                 a project of yours
                                           (docs/own-workload.md)
  python3 -m loadtests run --json | jq .verdict""",
    "predict": """
  make predict LATENCY=0.3 USERS=200       what theory says, without load""",
    "compare": """
  make compare A=results/20261128T051702Z-slots B=results/latest""",
    "report": """
  make report                              open the latest
  make report SVG=slides                   its plots, a file each, for slides
  python3 -m loadtests report --csv        its figures, a row for each step""",
    "completion": """
  source <(python3 -m loadtests completion)""",
}


WHERE = "auto (Docker when an engine answers), docker or process"


class Version(argparse.Action):
    def __call__(self, *_: object) -> NoReturn:
        from loadtests.results import manifest  # noqa: PLC0415

        print(f"loadtests {manifest.commit(ROOT) or '(no commit is known)'}")
        sys.exit(0)


def parser(given: Variables | None) -> Parser:  # noqa: PLR0915  # a statement for each option
    top = Parser(
        prog="python3 -m loadtests",
        description="WSGI or ASGI, for our workload? Measures it. Every option is also a variable: USERS=1,10,50.",
    )
    top.set_defaults(given=given)
    top.add_argument("--version", action=Version, nargs=0, help="the commit of this checkout")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="name")
    asked = os.environ

    def add(function: Callable[[argparse.Namespace], int], what: str, takes: Sequence[str] | None) -> Parser:
        """Add a command. `takes`: the variables of its options; None where variables are not checked."""
        name = function.__name__.removesuffix("_command")
        examples = f"examples:{EXAMPLES[name]}" if name in EXAMPLES else None
        raw = argparse.RawDescriptionHelpFormatter
        command = commands.add_parser(name, help=what, description=what, epilog=examples, formatter_class=raw)
        command.set_defaults(command=function, takes=takes)
        return command

    of_run = (*LOAD, "RUNTIME")
    on_nodes = (*of_run, *OF_CLUSTERS)
    run = add(run_command, "bring the lab up, measure, write the report, bring it down", (*on_nodes, *OWN))
    add_load(run, asked)
    run.add_argument("--json", action="store_true", help="print summary.json, and everything else on standard error")
    lesson = add(lesson_command, "ask a class, measure, ask again (docs/lessons/)", (*on_nodes, *OWN, "N"))
    add_load(lesson, asked)
    lesson.add_argument("--n", default=asked.get("N") or "1", metavar="N", help="the lesson's number (default: 1)")
    lesson.set_defaults(json=False)
    up = add(up_command, "bring the lab up with Locust's web UI, until Ctrl-C", ("RUNTIME", "GENERATORS", *OF_UP))
    add_generators(up, asked, "how many processes share the load (default: 1)")
    predict = add(predict_command, "what theory predicts for these knobs, without any load", of_run)
    add_load(predict, asked)
    claims = add(claims_command, "run experiments, all by default, and write down which claims hold", on_nodes)
    add_load(claims, {**asked, "EXPERIMENT": asked.get("EXPERIMENT") or "all"})
    for command in (run, lesson, up, predict, claims):
        command.add_argument("--runtime", default=asked.get("RUNTIME") or "auto", metavar="RUNTIME", help=WHERE)
    document = "the document (default: %(default)s)"
    claims.add_argument("--write-to", default="docs/claims.md", metavar="FILE", help=document)
    listing = add(list_command, "the experiments, their questions and how long each takes", ())
    listing.add_argument("--document", action="store_true", help="as docs/experiments.md has them")
    compared = add(compare_command, "what changed between two runs, beyond the noise or not", ("A", "B"))
    compared.add_argument("--a", default=asked.get("A", ""), metavar="A", help="a run's folder in results/")
    compared.add_argument("--b", default=asked.get("B", ""), metavar="B", help="another, as in results/latest")
    report = add(report_command, "open a run's report, print its figures, or draw its plots", ("RUN", "PNG", "SVG"))
    report.add_argument("--run", default=asked.get("RUN") or "results/latest", metavar="RUN", help="the run's folder")
    for form in ("json", "csv", "markdown"):
        report.add_argument(f"--{form}", action="store_const", const=form, dest="form", help=f"print it as {form}")
    for form in ("png", "svg"):
        variable = form.upper()
        what = f"a folder for its plots as {variable} (needs Chrome or Chromium)"
        report.add_argument(f"--{form}", default=asked.get(variable, ""), metavar=variable, help=what)
    pages = add(pages_command, "propose a pages.toml from a HAR, an access log or an OpenAPI document", None)
    pages.add_argument("recording", metavar="RECORDING", help="recording.har, access.log, openapi.json or openapi.yaml")
    pages.add_argument("--write-to", default="", metavar="FILE", help="a new file (default: standard output)")
    as_a_run = ("RUNTIME",)  # what a run refuses is refused
    rendered = add(render_command, "write compose.yaml for engines of several machines (docs/scale.md)", as_a_run)
    rendered.add_argument("engine", choices=CLUSTERS)
    rendered.add_argument("--experiment", default=experiments.DEFAULT, metavar="NAME", help="whose targets to write")
    rendered.add_argument("--write-to", default="", metavar="FOLDER", help="default: the engine's name")
    add(completion_command, "a script for bash that completes `make` here", None)
    install = add(install_command, "make the virtual environment that the lab or its tests need", None)
    install.add_argument("lock", choices=("lab", "dev"))
    measure = add(measure_command, "measure targets that are up (run starts it, inside the lab)", None)
    add_load(measure, {})  # its environment is compose.yaml's: defaults, not what was asked for
    measure.add_argument("--folder", required=True, help="the run's folder, which exists")
    add(assist_command, "share the load of the load generator at MASTER (run starts it, inside the lab)", None)
    return top


def add_generators(command: argparse.ArgumentParser, asked: Mapping[str, str], what: str) -> None:
    command.add_argument("--generators", default=asked.get("GENERATORS") or "1", metavar="GENERATORS", help=what)


def add_load(command: argparse.ArgumentParser, asked: Mapping[str, str]) -> None:
    """Add the options of a run. `asked` holds their values by variable, for those that are not given."""

    def option(name: str, help_text: str, default: str = "") -> None:
        variable = name.upper().replace("-", "_")
        command.add_argument(f"--{name}", default=asked.get(variable) or default, metavar=variable, help=help_text)

    own = any(asked.get(name) for name in ("APP", "IMAGE", "TARGETS"))
    usual = OWN_WORKLOAD.name if own else experiments.DEFAULT
    option("experiment", "which questions to ask, as in fan-out,slots (`list` shows them)", usual)
    option("users", "the steps of load, as in 1,10,50 (default: the experiment's)")
    option("rate", "pages per second that arrive whether or not the target keeps up, as in 20,40,80, in place of users")
    option("think", "seconds that users think after a page, on average (exponential; default: none)")
    option("arrivals", f"the shape of what arrives: {', '.join(SHAPES)} (default: the experiment's, mostly poisson)")
    add_generators(command, asked, "how many processes share the load, or auto: as many as it needs (default: 1)")
    option("repeats", "how often to measure everything (default: the experiment's, mostly 1)")
    for knob in knobs.KNOBS:
        option(knob.name.replace("_", "-"), f"{knob.help} ({knob.minimum:g}–{knob.maximum:g})")
    short = "under 40 s: a latency of 0.2 s and short steps (variable: QUICK=1)"
    quick = asked.get("QUICK") or "no"
    command.add_argument("--quick", nargs="?", const="yes", default=quick, metavar="yes|no", help=short)


def run_options(options: argparse.Namespace) -> RunOptions:
    """Return what the options ask of a run, checked before anything is started. Raises BadInput."""
    texts = {knob.name: text for knob in knobs.KNOBS if (text := getattr(options, knob.name))}
    for name, text in texts.items():
        knobs.check(name.upper(), text)
    asked = RunOptions(
        users=knobs.users(options.users) if options.users else (),
        rate=knobs.rates(options.rate) if options.rate else (),
        think=knobs.THINK.parse(options.think) if options.think else None,
        arrivals=knobs.arrivals(options.arrivals) if options.arrivals else "",
        repeats=knobs.repeats(options.repeats) if options.repeats else None,
        quick=knobs.switch("QUICK", options.quick),
        generators=knobs.generators(options.generators),
        knobs=texts,
    )
    given = options.given or Variables(os.environ, {})  # none inside the load generator, which has every default
    for old, new in experiments.RENAMED.items():
        if old in options.experiment.split(",") and options.name != "measure":
            print(f"{old} is called {new} now.", file=sys.stderr, flush=True)
    for experiment in experiments.named(options.experiment):
        asked.refuse_for(experiment, given.names, {**given.known, **os.environ})
    return asked


def choose_runtime(options: argparse.Namespace, arguments: Sequence[str]) -> str:
    """Return where the services run; local processes go on inside the virtual environment. Raises LabError."""
    from loadtests.host import launch, virtualenv  # noqa: PLC0415  # after .env is read, which may set RESULTS
    from loadtests.results import folders  # noqa: PLC0415  # likewise

    folders.refuse_colon()
    runtime = launch.choose_runtime(options.runtime)
    if runtime == "process":
        options.given.refuse_limits()
        virtualenv.enter([options.name, *arguments, "--runtime=process"])
    return runtime


def run_command(options: argparse.Namespace) -> int:
    from loadtests.host import elsewhere, own  # noqa: PLC0415

    if os.environ.get("LAB_ENGINE") and any(os.environ.get(name) for name in ("APP", "IMAGE", "TARGETS")):
        raise BadInput(
            "LAB_ENGINE runs the lab's own pages, and a project of yours is a folder or an image of this machine. "
            "Deploy it to the cluster yourself, and measure it there: TARGETS=…, without LAB_ENGINE."
        )
    there, project = elsewhere.asked(os.environ), own.asked(os.environ)
    options.given.refuse_useless(
        "TARGETS" if there else "IMAGE" if project and project.image else "APP" if project else ""
    )
    if (there or project) and options.experiment != OWN_WORKLOAD.name:
        raise BadInput(
            f"EXPERIMENT must be {OWN_WORKLOAD.name} where APP, IMAGE or TARGETS names what to measure; it is "
            f"{options.experiment[:80]!r}. Leave it out: the other experiments are about the lab's own pages."
        )
    if not (there or project) and OWN_WORKLOAD.name in options.experiment:
        raise BadInput(f"APP is not set, and {OWN_WORKLOAD.name} measures a project of yours: set APP to its folder")
    asked = run_options(options)
    if there:
        options.runtime = "process"  # the load generator alone
    with redirect_stdout(sys.stderr) if options.json else nullcontext():
        outcomes = measured(options, asked, there, project)
    if options.json:
        from loadtests.results import folders  # noqa: PLC0415

        found = [folders.summary(outcome.folder / "summary.json") for outcome in outcomes if outcome.folder]
        print(json.dumps(found[0] if len(found) == 1 else found, indent=1))
    return max(outcome.code for outcome in outcomes)


def lesson_command(options: argparse.Namespace) -> int:
    from loadtests.report import lessons  # noqa: PLC0415

    lesson = lessons.lesson(options.n)
    options.experiment = lesson.experiment
    if lesson.experiment == OWN_WORKLOAD.name and not any(os.environ.get(name) for name in ("APP", "IMAGE", "TARGETS")):
        raise BadInput(f"APP must be set for {lesson.title}: to the folder of a project with a pages.toml")
    options.runtime = choose_runtime(options, [f"--n={options.n}", *run_options(options).arguments])
    print(f"\n{lesson.title}\n\n{lesson.before}\n", flush=True)
    code = run_command(options)
    print(f"\n{lesson.after}", flush=True)
    return code


def measured(
    options: argparse.Namespace, asked: RunOptions, there: Elsewhere | None, project: OwnProject | None
) -> list[RunOutcome]:
    from loadtests.host import launch  # noqa: PLC0415

    again = [f"--experiment={options.experiment}", *asked.arguments, *(["--json"] if options.json else [])]
    runtime = choose_runtime(options, again)
    chosen = experiments.named(options.experiment)
    if there:
        chosen = [own_workload.elsewhere(there.urls)]
        most = max(level.amount for level in asked.applied_to(chosen[0]).levels)
        load = f"{most:g} {'pages/s' if asked.rate else 'users'}"
        print(f"The load goes to {there.words}: up to {load} at a time.", flush=True)
    return launch.measure(chosen, asked, runtime, there or project)


def claims_command(options: argparse.Namespace) -> int:
    from loadtests.host import launch  # noqa: PLC0415
    from loadtests.report import claims  # noqa: PLC0415

    asked = run_options(options)
    claims.check_path(options.write_to)
    again = [f"--experiment={options.experiment}", *asked.arguments, f"--write-to={options.write_to}"]
    runtime = choose_runtime(options, again)
    chosen = experiments.named(options.experiment)
    cores = os.cpu_count() or 1
    is_chosen = options.experiment != "all" or asked.quick or runtime in CLUSTERS  # of which others have the cores
    too_large = [one for one in chosen if one.cores > cores and not is_chosen]
    for one in too_large:
        print(f"{one.name} is left out: it takes about {one.cores} cores, and here are {cores}. By name it runs.")
    carried = [one for one in chosen if one not in too_large]
    outcomes = {outcome.experiment.name: outcome for outcome in launch.measure(carried, asked, runtime)}
    disturbed = [outcome.experiment for outcome in outcomes.values() if outcome.code == ExitCode.INVALID]
    if disturbed and not asked.quick and not interrupted(outcomes.values()):
        names = ", ".join(experiment.name for experiment in disturbed)
        print(f"\nOnce more, because the measurement did not hold: {names}", flush=True)
        try:
            outcomes |= {outcome.experiment.name: outcome for outcome in launch.measure(disturbed, asked, runtime)}
        except LabError as error:  # what was measured is not lost for it
            why = f"the first result stands, because it could not be measured again: {error}\n{error.details}"
            print(f"{names}: {why.rstrip()}", file=sys.stderr, flush=True)
    if interrupted(outcomes.values()):
        print(f"{options.write_to} is left as it was: not all was measured.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    typed = launch.claims_command_line(chosen, asked, runtime)
    results = [claims.result(outcomes[name].experiment, outcomes[name].folder) for name in sorted(outcomes)]
    results = sorted((*results, *(claims.result(one, None) for one in too_large)), key=lambda one: one.experiment.name)
    document = Path(options.write_to)
    if len(chosen) < len(experiments.catalogue()):
        results, typed = claims.with_others(document, results, typed)
    claims.write(document, results, typed)
    return max(outcome.code for outcome in outcomes.values())


def interrupted(outcomes: Iterable[Any]) -> bool:
    return any(outcome.code == ExitCode.INTERRUPTED for outcome in outcomes)


def up_command(options: argparse.Namespace) -> int:
    from loadtests.host import launch, own  # noqa: PLC0415

    project = own.asked(os.environ)
    options.given.refuse_useless(next((name for name in ("IMAGE", "APP") if os.environ.get(name)), ""))
    if project and os.environ.get("LOCUSTFILE"):
        raise BadInput("LOCUSTFILE is for `make loadtest`; the web UI needs PAGES (or run the file by Locust alone)")
    if engine := os.environ.get("LAB_ENGINE"):
        raise BadInput(f"LAB_ENGINE is for `make loadtest`: the web UI runs on this machine, not on {engine[:80]!r}")
    again = [f"--generators={options.generators}"]
    return launch.serve(choose_runtime(options, again), int(knobs.GENERATORS.parse(options.generators)), project)


def predict_command(options: argparse.Namespace) -> int:
    from loadtests.host import launch, topology, virtualenv  # noqa: PLC0415

    asked = run_options(options)
    runtime = launch.choose_runtime(options.runtime)
    if runtime == "process":
        options.given.refuse_limits()
    again = [f"--experiment={options.experiment}", *asked.arguments, f"--runtime={runtime}"]
    virtualenv.enter(["predict", *again])
    from loadtests.report import predict  # noqa: PLC0415  # needs packages of the virtual environment

    chosen = experiments.named(options.experiment)
    if len(chosen) != 1:
        raise BadInput(f"one EXPERIMENT is predicted at a time; there are {len(chosen)}")
    [experiment] = chosen
    services = topology.services({**os.environ, **experiment.deployed(os.environ).deployment})
    return predict.main(experiment, asked, predict.Lab.on_this_machine(services, limited=runtime != "process"))


def list_command(options: argparse.Namespace) -> int:
    from loadtests.report import lessons  # noqa: PLC0415

    if options.document:
        print(lessons.document(experiments.catalogue().values()), end="")
        return 0
    for experiment in experiments.catalogue().values():
        normal, quick = experiment.seconds
        print(f"{experiment.name}\n    {experiment.question}\n    about {normal:.0f} s of load, quick {quick:.0f} s")
    return 0


def report_command(options: argparse.Namespace) -> int:
    from loadtests.report import export  # noqa: PLC0415
    from loadtests.results import folders  # noqa: PLC0415

    folder = Path(options.run)
    found, report = folders.summary(folder / "summary.json"), folder / "report.html"
    if not isinstance(found, dict) or not report.is_file():
        raise BadInput(
            f"RUN must be a run's folder, as in results/latest; {options.run[:200]} holds no report. `make loadtest` "
            "makes one."
        )
    if options.form == "json":
        print(json.dumps(found, indent=1))
    elif options.form:
        try:
            print(export.FORMS[options.form](cast("Summary", found)), end="")
        except (KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"RUN must be a run of this version; {options.run[:200]} lacks {error!r:.80}") from error
    elif options.png or options.svg:
        for path in pictures_of(cast("Summary", found), options):
            print(path)
    else:
        address = report.resolve().as_uri()
        print(address)
        if sys.stdout.isatty() and (sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)):
            webbrowser.open(address)
    return 0


def pictures_of(found: Summary, options: argparse.Namespace) -> list[Path]:
    from loadtests.host import virtualenv  # noqa: PLC0415

    asked = {form: Path(getattr(options, form)).absolute() for form in ("png", "svg") if getattr(options, form)}
    folders = [f"--{form}={folder}" for form, folder in asked.items()]
    virtualenv.enter(["report", f"--run={options.run}", *folders])
    from loadtests.report import pictures  # noqa: PLC0415  # needs packages of the virtual environment

    return [path for form, to in asked.items() for path in pictures.write(found, Path(options.run), form, to)]


def compare_command(options: argparse.Namespace) -> int:
    from loadtests.host import virtualenv  # noqa: PLC0415
    from loadtests.report import compare  # noqa: PLC0415

    if compare.have_repeats(options.a, options.b):
        virtualenv.enter(["compare", f"--a={options.a}", f"--b={options.b}"])
    return compare.main(options.a, options.b)


def pages_command(options: argparse.Namespace) -> int:
    from loadtests.host import pages, virtualenv  # noqa: PLC0415

    if pages.is_yaml(options.recording):
        pages.read(Path(options.recording))  # a bad file ends here, before any package is installed
        virtualenv.enter(["pages", options.recording, f"--write-to={options.write_to}"])
    return pages.main(options.recording, options.write_to)


def render_command(options: argparse.Namespace) -> int:
    from loadtests.host import cluster  # noqa: PLC0415

    if "\0" in options.write_to:
        raise BadInput(f"--write-to must be a folder; it is {options.write_to[:80]!r}")
    for path in cluster.render_topology(options.engine, experiments.find(options.experiment), options.write_to):
        print(path)
    return 0


def completion_command(options: argparse.Namespace) -> int:
    from loadtests.host import completion  # noqa: PLC0415

    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    values = {"EXPERIMENT": experiments.catalogue(), "RUNTIME": ("docker", "process"), "QUICK": ("1",)}
    values |= {"LAB_ENGINE": CLUSTERS, "LAB_BUILD": ("no",)}
    names = (*variables.OPTIONS, *(knob.variable for knob in knobs.KNOBS))
    print(completion.script(targets, names, values), end="")
    return 0


def install_command(options: argparse.Namespace) -> int:
    from loadtests.host import virtualenv  # noqa: PLC0415

    virtualenv.ensure(options.lock)
    return 0


def measure_command(options: argparse.Namespace) -> int:
    asked = run_options(options)
    from loadtests.generator import run  # noqa: PLC0415  # imports Locust, which monkey-patches

    return run.main(experiments.find(options.experiment), asked, Path(options.folder))


def assist_command(options: argparse.Namespace) -> int:
    from loadtests.generator import assistant  # noqa: PLC0415  # likewise

    if not (token := os.environ["GENERATOR_TOKEN"]):  # anybody could show it
        raise BadInput("GENERATOR_TOKEN is empty: `make loadtest GENERATORS=2` starts this service, and makes one")
    address = urlsplit(os.environ["MASTER"])
    assistant.assist(str(address.hostname), int(address.port or 0), token)
    return 0


if __name__ == "__main__":
    sys.exit(main())
