"""/compare in Locust's web UI: HTTP only."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import gevent
import plotly
from flask import Blueprint, Response, jsonify, render_template, request, send_from_directory
from flask.typing import ResponseReturnValue
from gevent.lock import BoundedSemaphore

from loadtests.errors import BadInput
from loadtests.live import figures, requested
from loadtests.live.collector import Collector
from loadtests.live.history import Sample
from loadtests.live.presets import PRESETS
from loadtests.live.save import command, is_own, known, save
from loadtests.live.sentence import clause, moment, reservations, sentence
from loadtests.model import knobs
from loadtests.model.experiment import spoken
from loadtests.model.summary import Plotted

MOST_SAVED = 20  # reports of 5 MB each; in a container they lie in its memory
MOST_DRAWN = 4  # pages that are a second apart
NO_SUCH_RESULT = ("There is no such result.", 404)
PLOTLY = Path(plotly.__file__).parent / "package_data"
PIECE = 64 * 1024  # bytes of a download
ROWS = 60  # of the table behind the plots
# Nothing from another host, and no script but our own; Plotly writes styles into the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
YEAR = 31_536_000  # seconds


class Page:
    """What the browser asks for."""

    def __init__(self, collector: Collector, results: Path, runtime: str, base: str) -> None:
        self._collector = collector
        self._controls = collector.controls
        self._results = results
        self._runtime = runtime
        self._base = base
        self._saved: dict[str, Path] = {}
        targets = collector.targets.values()
        self._variants = sorted({name for one in targets for name in one.identity.get("variants", ())})
        self._own = any(map(is_own, targets))
        self._points = lru_cache(MOST_DRAWN)(self._draw_points)  # which every open page asks for
        self._whole = lru_cache(1)(self._draw_whole)  # 3 MB after half an hour
        self._drawing = BoundedSemaphore()
        self._saving = BoundedSemaphore()

    def page(self) -> ResponseReturnValue:
        return Response(
            render_template(
                "compare.html",
                base=self._base,
                colours=figures.colours(self._collector.targets.values()),
                headings=figures.HEADINGS,
                knobs=() if self._own else knobs.KNOBS,
                fixed=knobs.KNOBS if self._own else (),
                plotly_version=plotly.__version__,
                presets=() if self._own else PRESETS,
                reading=figures.READING,
                strategies=[name for name in self._controls.strategies if name not in self._variants],
                variants=self._variants,
                targets=self._collector.targets.values(),
                users=requested.USERS,
                requested=self._controls.requested.values,
            ),
            headers={"Content-Security-Policy": POLICY},
        )

    def plotly_js(self) -> ResponseReturnValue:
        answer = send_from_directory(PLOTLY, "plotly.min.js", mimetype="text/javascript")
        answer.headers["Cache-Control"] = f"private, max-age={YEAR}, immutable"
        return answer

    def figures(self) -> ResponseReturnValue:
        """Return all that a page needs that was just opened. Pages that are opened at once share the figures."""
        with self._drawing:
            epoch, history = self._collector.epoch, self._collector.history
            samples, newest = list(history.samples), history.number
            whole = self._whole(epoch, newest)
        rest = self._said(epoch, samples, next=newest).get_data()
        return Response([b'{"figures": ', whole, b", ", rest.lstrip(b"{")], mimetype="application/json")

    def data(self) -> ResponseReturnValue:
        """Return what is new since the last sample of a page."""
        epoch, since = self._collector.epoch, request.args.get("since", type=int)
        if since is None or request.args.get("epoch", type=int) != epoch:
            return jsonify(now(self._collector) | {"stale": True})
        samples, newest = self._collector.history.since(since), self._collector.history.number
        points = self._points(epoch, since, newest) if samples else {}
        return self._said(epoch, samples, next=newest, points=points)

    def _draw_whole(self, epoch: int, newest: int) -> bytes:
        return json.dumps(figures.whole(self._summary(since=0), gevent.sleep)).encode()

    def _draw_points(self, epoch: int, since: int, newest: int) -> dict[str, Any]:
        return figures.points(self._summary(since), gevent.sleep)

    def _summary(self, since: int) -> Plotted:
        samples = self._collector.history.since(since)
        return figures.summary(self._collector.targets.values(), self._controls.requested.strategy, samples)

    def _said(self, epoch: int, samples: Sequence[Sample], **more: Any) -> Response:
        rows = [figures.row(sample, self._collector.targets) for sample in samples[-ROWS:]]
        return jsonify(now(self._collector) | {"epoch": epoch, "rows": rows, "proper": self._proper()} | more)

    def _proper(self) -> dict[str, Any] | None:
        """Return how far the newest run is that measures properly, and its report when it has one."""
        run = self._controls.proper
        if run.folder is None:
            return None
        if run.running or not (run.folder / "report.html").is_file():
            return {"running": run.running, "said": run.said}
        return {"running": False, "said": run.said, **links(run.folder.name)}

    def start(self) -> ResponseReturnValue:
        self._controls.start(self._asked())
        return jsonify(message="Started.")

    def knobs(self) -> ResponseReturnValue:
        running = self._controls.running
        self._controls.turn(self._asked())
        return jsonify(message="Turned." if running else "Set; Start begins with it.")

    def stop(self) -> ResponseReturnValue:
        self._controls.stop()
        return jsonify(message="Stopped. Pages that are under way end by themselves.")

    def reset(self) -> ResponseReturnValue:
        self._collector.reset()
        return jsonify(message="Reset: the plots begin anew.")

    def _asked(self) -> requested.RequestedLoad:
        try:
            said = request.get_json(silent=True)
            return requested.read(said, self._controls.targets, self._controls.strategies)
        except RecursionError:
            raise BadInput("What was sent is nested too deeply. Send a value for each control.") from None

    def measure(self) -> ResponseReturnValue:
        self._refuse_more()
        wanted = self._controls.requested
        if self._own:
            raise BadInput(f"A project of your own is measured by {command(wanted, own=True)}.")
        folder = self._controls.measure(self._results, lambda: known(wanted, self._collector.targets, self._runtime))
        self._saved[folder.name] = folder
        return jsonify(message="Measuring properly: one target at a time, with nothing else beside it.")

    def _refuse_more(self) -> None:
        if len(self._saved) >= MOST_SAVED:
            raise BadInput(f"{MOST_SAVED} results are saved; start the lab anew to save more.")

    def save(self) -> ResponseReturnValue:
        if self._saving.locked():
            raise BadInput("A report is being made. Wait until it is there, then save again.")
        with self._saving:
            self._refuse_more()
            steady, targets = self._collector.steady_window.steady(), self._collector.targets
            work = (steady, targets, self._results, known(steady.requested, targets, self._runtime))
            folder, found = gevent.get_hub().threadpool.apply(save, work)  # users go on asking meanwhile
            self._saved[folder.name] = folder
        where = f"Saved in {folder}." if self._runtime == "process" else "Download it: it is gone with the container."
        return jsonify(
            message=f"LIVE, not a measurement. {where} To measure it: {found['manifest']['command']}",
            **links(folder.name),
        )

    def report(self, name: str, path: str) -> ResponseReturnValue:
        return send_from_directory(self._saved[name], path) if name in self._saved else NO_SUCH_RESULT

    def download(self, name: str) -> ResponseReturnValue:
        if name not in self._saved:
            return NO_SUCH_RESULT
        headers = {"Content-Disposition": f"attachment; filename={name}.zip"}
        return Response(zipped(self._saved[name]), mimetype="application/zip", headers=headers)


def links(name: str) -> dict[str, str]:
    """Return where a saved result is, beside Locust's own page."""
    return {"report": f"compare/saved/{name}/report.html", "download": f"compare/saved/{name}.zip"}


def blueprint(page: Page, base: str, guard: Callable[[], ResponseReturnValue | None]) -> Blueprint:
    """Return the routes; `guard` answers in place of all of them when somebody has to log in first."""
    compare = Blueprint(
        "compare", __name__, url_prefix=f"{base}/compare", template_folder="templates", static_folder="static"
    )
    compare.add_app_template_filter(spoken)
    compare.before_request(guard)
    compare.after_request(not_kept)
    compare.register_error_handler(BadInput, bad_input)
    compare.add_url_rule("", view_func=page.page)
    compare.add_url_rule("/plotly.js", view_func=page.plotly_js)
    for view in (page.figures, page.data):
        compare.add_url_rule(f"/{view.__name__}", view_func=view)
    for view in (page.start, page.knobs, page.stop, page.reset, page.save, page.measure):
        compare.add_url_rule(f"/{view.__name__}", view_func=view, methods=["POST"])
    compare.add_url_rule("/saved/<name>/<path:path>", view_func=page.report)
    compare.add_url_rule("/saved/<name>.zip", view_func=page.download)
    return compare


def not_kept(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def bad_input(error: BadInput) -> ResponseReturnValue:
    return jsonify(message=str(error), field=getattr(error, "field", "")), 400


def now(collector: Collector) -> dict[str, Any]:
    """Return what is true at this second, whatever was drawn before."""
    shown, situation = collector.shown, collector.situation
    return {
        "running": situation.running,
        "users": moment(shown, running=situation.running) if shown else "",
        "sentence": sentence(shown, running=situation.running),
        "clauses": [[spoken(one.name), clause(one)] for one in shown],
        "reservations": reservations(situation, shown),
        "true": [one.experiment for one in PRESETS if collector.settled and one.is_true(shown)],
        "marks": list(collector.history.marks),
        "second": collector.history.second,
        "controls": collector.controls.requested.values,
    }


class Sink(io.RawIOBase):
    """Takes an archive as it grows; whoever sends `taken` on empties it."""

    taken = b""

    def write(self, piece: Any) -> int:
        self.taken += bytes(piece)
        return len(piece)


def zipped(folder: Path) -> Iterator[bytes]:
    """Yield the archive in pieces, so that no download holds all of it in memory.

    It is stored and not compressed: that would take CPU from the users.
    """
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(filter(Path.is_file, folder.rglob("*"))):
            entry = zipfile.ZipInfo.from_file(path, str(path.relative_to(folder.parent)))
            with path.open("rb") as source, archive.open(entry, "w") as target:
                while piece := source.read(PIECE):
                    target.write(piece)
                    yield sink.taken
                    sink.taken = b""
    yield sink.taken


def linked(page: str, base: str) -> str:
    """Return Locust's main page with a link to this one: that page has tabs for tables only."""
    style = (
        "position:fixed;left:225px;top:13px;z-index:2000;background:#0072B2;color:#fff;padding:8px 16px;"
        "border-radius:6px;font:600 15px system-ui,sans-serif;text-decoration:none"
    )
    link = f'<a href="{base}/compare" style="{style}">See it side by side</a>'
    return page.replace("</body>", f"{link}</body>")
