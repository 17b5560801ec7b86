"""The page under FastAPI, with the lab's own client.

It imports services.aggregator.upstream and does not write the set-up again: whatever is changed there changes here too,
so that the difference to the ASGI target is always Django and the lab's own code, never the client.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Annotated, Any

os.environ["DJANGO_SETTINGS_MODULE"] = "services.aggregator.settings"  # upstream reads its limits there

from fastapi import FastAPI, HTTPException, Query, Request

from benchmarks.peers import content
from services.aggregator import upstream
from services.aggregator.parameters import Call


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with upstream.async_client() as client:
        yield {"client": client}


app = FastAPI(lifespan=lifespan)


@app.get("/healthz")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/api/aggregated/")
async def page(
    request: Request,
    fan_out: Annotated[int, Query(ge=1, le=100)],
    latency: Annotated[float, Query(ge=0, le=10)],
) -> dict[str, Any]:
    client, started = request.state.client, perf_counter()
    calls = (upstream.afetch(client, Call(task, f"&latency={latency!r}")) for task in range(fan_out))
    responses = await asyncio.gather(*calls)
    if any(isinstance(response, upstream.CallFailed) for response in responses):
        raise HTTPException(status_code=502)
    return content("FastAPI", perf_counter() - started, responses)
