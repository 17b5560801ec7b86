"""The strategy `gather` over other HTTP clients, with the same timeouts; clients.py says what limits their pools."""

from __future__ import annotations

from services.aggregator import clients
from services.aggregator.parameters import Call
from services.aggregator.registry import variant
from services.aggregator.upstream import AsyncClient, session
from services.aggregator.views import Results


@variant
async def client_httpx(calls: list[Call], client: AsyncClient) -> Results:
    return await clients.gather(calls, clients.shared.get(clients.httpx_client))


@variant
async def client_httpx_aiohttp(calls: list[Call], client: AsyncClient) -> Results:
    return await clients.gather(calls, clients.shared.get(clients.httpx_aiohttp_client))


@variant
async def client_httpx2(calls: list[Call], client: AsyncClient) -> Results:
    return await clients.gather(calls, clients.shared.get(clients.httpx2_client))


@variant
async def client_aiohttp(calls: list[Call], client: AsyncClient) -> Results:
    return await clients.gather(calls, clients.shared.get(session, "close"), clients.fetch_aiohttp)
