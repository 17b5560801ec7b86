"""A load generator in forty lines, with nothing of the lab in it: python forty_lines.py URL USERS WARM_UP SECONDS."""

import asyncio
import json
import sys
import time
from statistics import quantiles
from urllib.parse import urlsplit


async def user(url: str, pages: list[tuple[float, float]]) -> None:
    """Ask for one page after the other, over one connection; note when each began and when it ended."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    while True:
        began = time.perf_counter()
        writer.write(f"GET {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length:")[2].split(None, 1)[0]))
        if not head.startswith(b"http/1.1 200"):
            sys.exit(f"{url} answered {head[:40]!r}")
        pages.append((began, time.perf_counter()))


async def load(url: str, users: int, warm_up: float, seconds: float) -> dict[str, float]:
    """Return pages/s that ended in the window, and percentiles (seconds) of those that began in it."""
    pages: list[tuple[float, float]] = []
    tasks = [asyncio.create_task(user(url, pages)) for _ in range(users)]
    await asyncio.sleep(warm_up)
    opened = time.perf_counter()
    closed = opened + seconds
    await asyncio.sleep(seconds)
    await asyncio.sleep(max(ended - began for began, ended in pages))  # those that began in the window end
    for task in tasks:
        task.cancel()
    cuts = quantiles([ended - began for began, ended in pages if opened <= began < closed], n=100)
    return {"goodput": sum(opened <= ended < closed for _, ended in pages) / seconds, "p50": cuts[49], "p95": cuts[94]}


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    print(json.dumps(asyncio.run(load(where, int(numbers[0]), float(numbers[1]), float(numbers[2])))))
