"""Serves metrics as Prometheus text to the lab alone: to a bounded number of clients, for a bounded time each."""

from __future__ import annotations

import asyncio
import struct
from asyncio import IncompleteReadError, LimitOverrunError, StreamReader, StreamWriter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from services import env

MOST_CLIENTS = 32  # at once; one more takes the place of the one that has been there longest
PATIENCE = 5.0  # seconds from a client's first byte to our last
LARGEST_REQUEST = 8 * 1024  # bytes
ROUTES = Path("/proc/net/route")
SPANS, LARGEST_SPANS = ".spans", 4 * 1024**2  # the end of a name of a file of OTLP JSON, and bytes of all of them
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\nConnection: close\r\nContent-Length: "


async def serve_metrics(*collectors: Collector, folder: str = "") -> None:
    """Serve what these collect, and the spans in a folder, at the environment's address. Raises OSError."""
    registry = CollectorRegistry(target_info={"service": env.text("TARGET")})
    for collector in collectors:
        registry.register(collector)
    others = {b"/spans": partial(spans, Path(folder))} if folder else {}
    await serve(partial(generate_latest, registry), env.text("TELEMETRY_ADDRESS"), others)


async def serve(
    document: Callable[[], bytes], address: str, others: Mapping[bytes, Callable[[], bytes]] = MappingProxyType({})
) -> None:
    """Start to serve a document at host:port, as long as this event loop runs; `others`: by path. Raises OSError."""
    host, _, port = address.rpartition(":")
    clients: dict[StreamWriter, None] = {}  # in the order in which they came

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        clients[writer] = None
        if len(clients) > MOST_CLIENTS:
            oldest = next(iter(clients))
            del clients[oldest]
            oldest.transport.abort()
        try:
            peer, *_ = writer.get_extra_info("peername")
            if is_of_the_lab(IPv4Address(peer)):
                async with asyncio.timeout(PATIENCE):
                    _, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b" ")
                    body = others.get(rest.partition(b" ")[0], document)()
                    writer.write(f"{HEAD}{len(body)}\r\n\r\n".encode() + body)
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError, IncompleteReadError, LimitOverrunError):
            pass  # the client left, or was no client
        finally:
            writer.transport.abort()
            clients.pop(writer, None)

    await asyncio.start_server(answer, host, int(port), limit=LARGEST_REQUEST)


def spans(folder: Path) -> bytes:
    """Return the spans that the server's processes have kept there, as lines of OTLP JSON."""
    texts = []
    for file in sorted(folder.glob(f"*{SPANS}")):
        with suppress(FileNotFoundError):  # a worker made room
            texts.append(file.read_bytes())
    return b"".join(texts)


def is_of_the_lab(peer: IPv4Address) -> bool:
    """Return whether the peer is this machine (as local processes), or a container of the same network.

    The host reaches a container's ports too, published or not. It does so as the network's gateway, or from an address
    of another network.
    """
    if peer.is_loopback or env.optional("TELEMETRY_READERS") == "all":  # pods have many networks: a policy guards them
        return True
    known = list(routes())
    here = any(peer in network and not int(gateway) for network, gateway in known)
    return here and all(peer != gateway for _, gateway in known)


def routes() -> Iterator[tuple[IPv4Network, IPv4Address]]:
    """Yield network and gateway of the kernel's routes (Linux, /proc/net/route); none if it does not report them."""
    with suppress(OSError):
        for line in ROUTES.read_text().splitlines()[1:]:
            _, network, gateway, _, _, _, _, mask, *_ = line.split()
            yield IPv4Network((address(network), str(address(mask)))), address(gateway)


def address(hexadecimal: str) -> IPv4Address:
    return IPv4Address(struct.pack("=I", int(hexadecimal, 16)))
