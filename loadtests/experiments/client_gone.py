"""What happens to a page whose user has left?

Users here lose patience after half a second and close their connection; a page takes a second. Whoever leaves makes
room for a user who does the same.

Predict: under ASGI Django hears of it and cancels the view, so that nothing is finished for nobody. Under WSGI
nothing looks at the connection before the answer is written: every page is worked on to its end.

You will see pages that were given up under ASGI, and pages that were finished for nobody under WSGI: full slots, full
load at the api, and no goodput at all.

In your project: a rush makes users reload. Under WSGI each reload is one more page to work on while the old one goes
on; timeouts in front of the server do not free its slots.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.experiments import Arm, Claim, Experiment, Judgement, Point, Quick, judged, last
from loadtests.step import users

PATIENCE = 0.5  # seconds; half of what a page takes
WSGI = Arm("wsgi", "threadpool", patience=PATIENCE, fails=True, takes=2 * PATIENCE, predictable=False)
ASGI = Arm("asgi", "gather", patience=PATIENCE, fails=True, takes=2 * PATIENCE, predictable=False)
MOST, HARDLY_ANY = 0.8, 0.1


def judge(points: Sequence[Point]) -> Judgement:
    wsgi, asgi = last(points, WSGI), last(points, ASGI)
    left = not wsgi.pages and not asgi.pages
    figures = (
        f"{'all' if left else 'not all'} users left before their page was there; "
        f"WSGI finished {finished(wsgi):.0f} pages for nobody and gave up "
        f"{cancelled(wsgi):.0f}, ASGI finished {finished(asgi):.0f} and gave up {cancelled(asgi):.0f}"
    )
    stopped = cancelled(asgi) / max(1.0, cancelled(asgi) + finished(asgi))
    seen = left and finished(wsgi) and not cancelled(wsgi) and stopped >= MOST
    return judged(seen, "Cancelled under ASGI, done for nobody under WSGI", figures)


def finished(point: Point) -> float:
    return point.inside.pages_finished or 0.0


def cancelled(point: Point) -> float:
    return point.inside.pages_cancelled or 0.0


EXPERIMENT = Experiment(
    name="client-gone",
    arms=(WSGI, ASGI),
    steps=users(6),
    knobs={"latency": 2 * PATIENCE},
    judge=judge,
    plots=("Done for nobody", "External concurrency"),
    claims=(
        Claim(
            "A client that disconnects does not stop an async view in Django 4.2, but does in 5.0.",
            "mapped pull request 116 (2024)",
            "https://github.com/commonknowledge/mapped/pull/116",
            confirmed="holds for today's Django; 4.2 is not among the arms",
        ),
    ),
    quick=Quick(knobs={"latency": 2 * PATIENCE}),
)
