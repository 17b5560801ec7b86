"""Is it ASGI that makes a page of ten slow calls ten times as fast?

The articles compare ten calls one after the other in a sync view with ten calls by `asyncio.gather` in an async one:
ten seconds against one. That changes two things at once. Here both are turned separately, for one user: how the calls
are made (one after the other, by threads, by gather) and the server (WSGI, ASGI).

Predict: one after the other a page takes fan-out × latency, side by side it takes the latency, under either server.

You will see three bars a server, and the same three under both. (With LATENCY=1 they are the articles' ten seconds
and one; here the api takes 0.3 s.)

In your project: look for calls that do not need each other's answers. Making them side by side is worth a factor, and
a thread pool does it in any Django, under any server.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, judged, last
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import users
from loadtests.model.units import duration

WAYS = ("sequential", "threadpool", "gather")
SEQUENTIAL, *SIDE_BY_SIDE = ARMS = tuple(tuple(Arm(server, way) for server in ("wsgi", "asgi")) for way in WAYS)
MOST_OF_IT = 0.6  # of the fan-out that the gain has to reach
ALIKE = 1.5  # times as long a page may take by another way of making its calls side by side


def judge(points: Points) -> Judgement:
    slow = [last(points, arm).p50 for arm in SEQUENTIAL]
    fast = sorted(last(points, arm).p50 for arms in SIDE_BY_SIDE for arm in arms)
    gain = min(slow) / fast[-1]
    predicted = [point.predicted.page_time for point in points if point.predicted]
    expected = max(predicted) / min(predicted)
    figures = (
        f"one after the other a page took {duration(slow[0])} under WSGI and {duration(slow[1])} under ASGI; side by "
        f"side {duration(fast[0])} to {duration(fast[-1])}, whether by threads or by gather, under either"
    )
    seen = gain >= MOST_OF_IT * expected and fast[-1] <= ALIKE * fast[0]
    if seen:
        figures += f", {gain:.1f} times as fast"
    return judged(seen, "The gain is the fan-out, not ASGI", figures)


EXPERIMENT = Experiment(
    seconds=(61, 11),
    arms=tuple(arm for of_server in zip(*ARMS, strict=True) for arm in of_server),
    levels=users(1),
    knobs={"latency": 0.3},
    plots=("Response time", "CPU per page", "Threads", "Memory"),
    claims=(
        Claim(
            "Ten calls of a second take about one second with gather and httpx, and about ten in a loop.",
            "Jochen Wersdörfer, Django 3.1 Async (2020)",
            "https://wersdoerfer.de/blogs/ephes_blog/django-31-async/",
        ),
        Claim(
            "Who only combines a few responses may be served by a thread pool, without an ASGI server.",
            "Jochen Wersdörfer, Django 3.1 Async (2020)",
            "https://wersdoerfer.de/blogs/ephes_blog/django-31-async/",
        ),
    ),
    quick=Quick(knobs={"latency": 0.04}),
)
