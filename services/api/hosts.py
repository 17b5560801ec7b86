"""Answers under the names that upstreams have, at the usual ports, with certificates of an authority of the lab's own.

Its key is never written down: it signs for these names once, and is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from services import env
from services.bare import Handler
from services.protocol import BoundedProtocol

HTTP, HTTPS = 80, 443  # ports


class Beside(uvicorn.Server):
    """A server beside the one whose signals end them both."""

    capture_signals = nullcontext  # type: ignore[assignment]


@asynccontextmanager
async def under_their_hosts(app: Handler, hosts: Sequence[bytes]) -> AsyncIterator[None]:
    """Serve at the ports of HTTP and HTTPS meanwhile, where there are hosts. Ends the process where it cannot."""
    if not hosts:
        yield
        return
    with TemporaryDirectory() as folder:
        certificate = Path(folder) / "certificate.pem"
        sign([host.decode() for host in hosts], certificate, Path(env.text("CERTIFICATES")) / "ca.pem")
        servers = [server(app, HTTP, None), server(app, HTTPS, certificate)]
        serving = [asyncio.create_task(one.serve()) for one in servers]
        while not all(one.started for one in servers):  # one that cannot listen ends the process
            ended, _ = await asyncio.wait(serving, timeout=0.01, return_when=asyncio.FIRST_COMPLETED)
            for failed in ended:
                failed.result()
        yield
        for one in servers:
            one.should_exit = True
        await asyncio.gather(*serving)


def sign(hosts: Sequence[str], certificate: Path, authority: Path) -> None:
    """Write a certificate for the hosts, with its key, and the one of the authority that signed it."""
    import trustme  # noqa: PLC0415  # only where there are hosts

    signing = trustme.CA(organization_name="lab")
    signing.issue_cert(*hosts).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    signing.cert_pem.write_to_path(str(authority))


def server(app: Handler, port: int, certificate: Path | None) -> Beside:
    return Beside(
        uvicorn.Config(
            app,
            host="0.0.0.0",  # noqa: S104  # of a container
            port=port,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            timeout_keep_alive=75,
            backlog=8192,
            proxy_headers=False,
            access_log=False,
            log_level="warning",
            ssl_certfile=certificate,
        )
    )
