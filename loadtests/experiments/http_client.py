"""Does the server decide, or the HTTP client?

The same async view under the same ASGI server with six clients, each used as its documentation shows: one made for
every page, as the articles have it; one shared with its default limits; httpx's own pool without limits; httpx over
aiohttp's pool; httpx2; aiohttp itself. Beside them WSGI with its threads. The lab's own pages use httpx over aiohttp
too, but leave out what their calls have no use for (cookies, merging headers), so they are not among the six.

Predict: a shared client with the default 100 connections carries 100 / (fan-out × latency) pages/s at the most, which
is what ten threads do; less where its queue costs CPU. A client a page builds an SSL context each time, for ten
milliseconds of CPU and more.

You will see ASGI lose its advantage to a client, and the CPU of a page differ by a factor between clients that look
the same in the code. Calls that queue for httpx's own pool are the dearest: it looks through all of them for each. And
it closes every connection that becomes idle while it has more than 20 (its default), so that a page of ten calls opens
about ten anew, limit or not.

In your project: make one client for the process, open and close it with the lifespan, set its limits and every
timeout on purpose, and measure its CPU per call before you blame a server.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, cpu_of, highest, judged, rate
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Point
from loadtests.model.load_level import users
from loadtests.model.units import digits, duration

HTTPX_TIMEOUT = 5.0  # seconds, for everything, where nothing else is asked for
ARMS = (
    Arm("wsgi", "threadpool"),
    Arm("asgi", "client_default_limits", "httpx, default limits", pool=100, takes=1.3, timeout=HTTPX_TIMEOUT),
    Arm("asgi", "client_per_page", "httpx, one a page", takes=0.7, timeout=HTTPX_TIMEOUT),
    Arm("asgi", "client_httpx", "httpx, shared"),
    Arm("asgi", "client_httpx_aiohttp", "httpx over aiohttp"),
    Arm("asgi", "client_httpx2", "httpx2"),
    Arm("asgi", "client_aiohttp", "aiohttp"),
)
NO_MORE = 1.3  # times ten threads' goodput, which the default limits must not pass
CLEARLY_MORE = 2.0  # times the default limits' goodput
CLAIMED = 0.1  # seconds that a client for each page is said to add
DEARER = 2.0  # times the CPU of the cheapest client that the dearest takes, of those that are shared without a limit


def judge(points: Points) -> Judgement:
    threads, limited, per_page, *shared = highest(points)
    own_pool, over_aiohttp, *_ = shared
    each = ", ".join(
        f"{point.arm.label} {digits(point.goodput)} ({duration(cpu_of(point))} of CPU a page{opened(point)})"
        for point in (limited, per_page, *shared)
    )
    costs = [cpu_of(point) for point in shared]
    figures = (
        f"at {limited.level.name} {threads.slots} threads under WSGI served {digits(threads.goodput)} pages/s; the "
        f"same view under ASGI with {each}"
    )
    seen = (
        limited.goodput <= NO_MORE * threads.goodput
        and over_aiohttp.goodput >= CLEARLY_MORE * limited.goodput
        and max(costs) >= DEARER * min(costs)
        and 0 < cpu_of(per_page) - cpu_of(own_pool) < CLAIMED / 2
    )
    return judged(seen, "The client decides", figures, key=map(rate, (threads, limited, over_aiohttp)))


def opened(point: Point) -> str:
    connections = point.inside.connections_opened
    return "" if connections is None or not point.pages else f", {connections / point.pages:.1f} connections"


EXPERIMENT = Experiment(
    seconds=(45, 20),
    arms=ARMS,
    levels=users(20),
    knobs={"latency": 0.4},
    plots=("Goodput", "CPU per page", "Response time"),
    claims=(
        Claim(
            "A client for each request adds about 100 ms, because an SSL context is built even for plain HTTP.",
            "httpx issue 2298 (2022)",
            "https://github.com/encode/httpx/issues/2298",
            confirmed="refuted: a client for each page costs some milliseconds of CPU, not 100",
        ),
    ),
)
