"""The strategy `gather` over other HTTP clients, with the same timeouts; clients.py says what limits their pools."""

from __future__ import annotations

import asyncio

from services.aggregator import clients
from services.aggregator.parameters import Call
from services.aggregator.registry import variant
from services.aggregator.results import Results
from services.aggregator.upstream import AsyncClient


@variant
async def client_httpx(calls: list[Call], client: AsyncClient) -> Results:
    httpx_client = clients.httpx_client()
    return await asyncio.gather(*(clients.attempt(httpx_client, call) for call in calls))


@variant
async def client_httpx_aiohttp(calls: list[Call], client: AsyncClient) -> Results:
    httpx_client = clients.httpx_aiohttp_client()
    return await asyncio.gather(*(clients.attempt(httpx_client, call) for call in calls))


@variant
async def client_httpx2(calls: list[Call], client: AsyncClient) -> Results:
    httpx2_client = clients.httpx2_client()
    return await asyncio.gather(*(clients.attempt(httpx2_client, call) for call in calls))


@variant
async def client_aiohttp(calls: list[Call], client: AsyncClient) -> Results:
    session = clients.aiohttp_session()
    return await asyncio.gather(*(clients.attempt_aiohttp(session, call) for call in calls))
