"""Can a page begin before its slowest call has come?

The calls of a page take between 0.2 and 1.2 s. A page that is sent whole begins when the slowest has come. One that
is streamed begins at once and grows as calls arrive: by a sync iterator over threads, or by an async one.

Predict: the last byte comes when the slowest call does, streamed or not. The first byte comes at once, under both
servers, as long as there is a slot. A stream holds it until its last byte, so that WSGI sends slots / page time.

You will see that: with five users both begin at once; with twenty WSGI streams no more than its slots allow.

In your project: streaming helps whoever looks at the page, not the server. Under WSGI a slow reader holds a slot;
under ASGI use an async iterator, since a sync one is read to its end before the first byte is sent.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, expected, judged, last, of
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import users
from loadtests.model.units import digits, duration

WHOLE = (Arm("wsgi", "threadpool", "whole", streams=True), Arm("asgi", "gather", "whole", streams=True))
STREAMED = (Arm("wsgi", "stream_threads", "streamed", streams=True), Arm("asgi", "stream", "streamed", streams=True))
EARLY = 0.5  # of the time to the last byte
HELD = 1.15  # times slots / page time, which it must not pass
CLEARLY_MORE = 1.4


def judge(points: Points) -> Judgement:
    whole, streamed = ([of(points, arm)[0] for arm in arms] for arms in (WHOLE, STREAMED))
    full, free = (last(points, arm) for arm in STREAMED)
    figures = "; ".join(
        f"under {arm.arm.server} a streamed page began after {duration(arm.first_byte)} and ended after "
        f"{duration(arm.p50)}, a whole one began after {duration(other.first_byte)}"
        for arm, other in zip(streamed, whole, strict=True)
    )
    figures += (
        f"; at {full.level.name} WSGI streamed {digits(full.goodput)} pages/s with its {full.slots} slots and ASGI "
        f"{digits(free.goodput)}"
    )
    early = all(arm.first_byte <= EARLY * arm.p50 for arm in streamed)
    late = all(arm.first_byte >= EARLY * arm.p50 for arm in whole)
    held = full.goodput <= HELD * expected(full).goodput and free.goodput >= CLEARLY_MORE * full.goodput
    key = [f"{point.arm.words}: first byte after {duration(point.first_byte)}" for point in (*streamed, whole[-1])]
    return judged(early and late and held, "Streamed pages begin at once under both", figures, key=key)


EXPERIMENT = Experiment(
    seconds=(63, 17),
    arms=(WHOLE[0], STREAMED[0], WHOLE[1], STREAMED[1]),
    levels=users(5, 20),
    knobs={"latency": 0.2, "jitter": 1.0},
    plots=("First byte and last", "CPU per page", "External concurrency"),
    claims=(
        Claim(
            "Under WSGI a stream ties up a worker for its whole duration.",
            "Carlton Gibson, Django ticket 33735 (2022)",
            "https://cgit.adnoto.dev/django.git/commit/docs?id=0bd2c0c9015b53c41394a1c0989afbfd94dc2830",
            confirmed="holds, for a slot: just as a page that waits does",
        ),
    ),
    quick=Quick(knobs={"latency": 0.05, "jitter": 0.2}),
)
