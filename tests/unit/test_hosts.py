"""What signs for the names of upstreams."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from services.api import hosts


def test_a_client_that_trusts_the_authority_believes_these_names_alone(tmp_path: Path) -> None:
    certificate, authority = tmp_path / "certificate.pem", tmp_path / "ca.pem"
    hosts.sign(["weather.example", "hotels.example"], certificate, authority)
    assert b"PRIVATE KEY" not in authority.read_bytes()
    for name, believed in (("weather.example", True), ("hotels.example", True), ("other.example", False)):
        client, server = (
            ssl.create_default_context(purpose) for purpose in (ssl.Purpose.SERVER_AUTH, ssl.Purpose.CLIENT_AUTH)
        )
        client.load_verify_locations(authority)
        client.verify_flags |= getattr(ssl, "VERIFY_X509_STRICT", 0)  # Python 3.13's default, which wants a keyUsage
        server.load_cert_chain(certificate)
        if believed:
            handshake(client, server, name)
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                handshake(client, server, name)


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(back, there, server_hostname=name)
    answers = server.wrap_bio(there, back, server_side=True)
    for _ in range(3):
        for side in (asks, answers):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
