"""Decide by its Host and its Origin whether the web UI answers a request. Pure.

A browser sends both, and no page can forge them. The Host is the name under which the browser knows the lab. A foreign
name was pointed at this machine by its owner (DNS rebinding), whose page could then read every answer. The Origin says
which site's page sends the request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from loadtests.errors import BadInput
from loadtests.model.knobs import Knob

TRUSTED = "TRUSTED_ORIGINS"  # the variable: origins, separated by spaces
REMEDY = f"start the lab with its address in {TRUSTED}, as in {TRUSTED}=https://lab.example."
READING = {"GET", "HEAD", "OPTIONS"}  # methods that change nothing
OWN_SITE = {"same-origin", "none"}  # Sec-Fetch-Site of the lab's own pages, and of an address that a person typed
PORTS = {"http": 80, "https": 443}  # where a scheme is served unless the address says otherwise
NAME = r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::(?P<port>[0-9]{1,5}))?"
HOST = re.compile(NAME, re.IGNORECASE)
ORIGIN = re.compile(rf"(?P<scheme>https?)://{NAME}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Origin:
    scheme: str
    name: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        """Return None for anything but a scheme, a name and perhaps a port, and so for `null`."""
        match = ORIGIN.fullmatch(text)
        if match is None:
            return None
        scheme = match["scheme"].lower()
        return cls(scheme, match["name"].lower(), int(match["port"] or PORTS[scheme]))

    def has_host(self, host: re.Match[str]) -> bool:
        return (host["name"].lower(), int(host["port"] or PORTS[self.scheme])) == (self.name, self.port)


@dataclass(frozen=True, slots=True)
class Origins:
    """`own`: the addresses on this machine at which the lab is published; `trusted`: those that a person named."""

    own: frozenset[Origin]
    trusted: frozenset[Origin]

    @classmethod
    def parse(cls, trusted: str, port: str) -> Origins:
        """Read TRUSTED_ORIGINS; `port`: where the web UI is published. Raises BadInput."""
        published = int(Knob("locust_port", 1, 65535, "where the web UI is published", whole=True).parse(port))
        origins = {text: Origin.parse(text.removesuffix("/")) for text in trusted.replace(",", " ").split()}
        for text, origin in origins.items():
            if origin is None:
                raise BadInput(
                    f"{TRUSTED} must be origins with a scheme and without a path, separated by spaces, as in "
                    f"'https://lab.example http://192.168.1.5:8089'; it has {text[:80]!r}"
                )
        own = {Origin("http", name, published) for name in ("localhost", "127.0.0.1", "[::1]")}
        return cls(frozenset(own), frozenset(origin for origin in origins.values() if origin))

    def refusal(self, method: str, headers: Mapping[str, str]) -> str:
        """Return why the request is refused, "" if it is not.

        A program that is no browser sends a Host only. A proxy may put the lab's own address in the place of the Host
        or of the Origin; it leaves Sec-Fetch-Site, in which the browser says whether the page is of another site.
        """
        host = headers.get("Host", "")
        named = HOST.fullmatch(host)
        here = named is not None and is_loopback(named["name"])
        if named is None or not (here or any(origin.has_host(named) for origin in self.trusted)):
            return (
                f"The web UI does not answer to the name {host[:80]!r}. It answers to localhost, 127.0.0.1 and [::1], "
                f"and to the names in {TRUSTED}. If the name is yours, {REMEDY}"
            )
        said = headers.get("Origin")
        asking = None if said is None else Origin.parse(said)
        if asking in self.trusted:
            return ""
        if said is not None and not (asking in self.own or (here and asking is not None and asking.has_host(named))):
            return foreign(said)
        follows_a_link = method in READING and headers.get("Sec-Fetch-Mode") == "navigate"
        if (site := headers.get("Sec-Fetch-Site", "none")) not in OWN_SITE and not follows_a_link:
            return foreign(said or site)
        return ""


def foreign(source: str) -> str:
    return (
        f"A page of another site ({source[:80]!r}) may not use the lab. Its own pages may, and those of the origins in "
        f"{TRUSTED}. If the page is yours, {REMEDY}"
    )


def is_loopback(name: str) -> bool:
    """Return whether the name stands for this machine, whatever a DNS server says."""
    name = name.lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
