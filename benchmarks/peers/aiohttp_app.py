"""The page under a bare aiohttp server, with aiohttp's own client: as little as Python needs. Argument: a port."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

import aiohttp
import uvloop
from aiohttp import web

from benchmarks.peers import content

API_URL = os.environ["API_URL"]
CONNECT_TIMEOUT, CALL_TIMEOUT = float(os.environ["CONNECT_TIMEOUT"]), float(os.environ["CALL_TIMEOUT"])
TIMEOUT = aiohttp.ClientTimeout(
    total=None, connect=CONNECT_TIMEOUT, sock_connect=CONNECT_TIMEOUT, sock_read=CALL_TIMEOUT
)
KEEP_ALIVE = 60.0  # seconds a connection to the api may idle, as in services.aggregator.upstream
CLIENT = web.AppKey("client", aiohttp.ClientSession)


async def client(app: web.Application) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=int(os.environ["MAX_CONNECTIONS"]), keepalive_timeout=KEEP_ALIVE)
    cookies = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, cookie_jar=cookies) as session:
        app[CLIENT] = session
        yield


async def fetch(session: aiohttp.ClientSession, call: str) -> Any:
    async with session.get(f"{API_URL}?{call}") as response:
        response.raise_for_status()
        return await response.json()


async def page(request: web.Request) -> web.Response:
    fan_out, latency = int(request.query["fan_out"]), float(request.query["latency"])
    session, started = request.app[CLIENT], perf_counter()
    calls = (fetch(session, f"task_id={task}&latency={latency!r}") for task in range(fan_out))
    responses = await asyncio.gather(*calls)
    return web.json_response(content("aiohttp", perf_counter() - started, responses))


async def health(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


def main(port: int) -> None:
    loop = uvloop.new_event_loop()
    app = web.Application()
    app.cleanup_ctx.append(client)
    app.add_routes([web.get("/healthz", health), web.get("/api/aggregated/", page)])
    web.run_app(
        app, host="127.0.0.1", port=port, access_log=None, print=None, keepalive_timeout=75, backlog=2048, loop=loop
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
