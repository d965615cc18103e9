"""Listening sockets, read from /proc/net, so that `ss` need not be installed."""

from __future__ import annotations

import re
import socket
import struct
from typing import TYPE_CHECKING, cast

from provision.model import bracketed
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testinfra.host import Host

    from provision.model import Protocol

TABLES = "cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 2>/dev/null"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - read, not bound
_LISTENS = {"0A": "tcp", "07": "udp"}  # a bound udp socket without a peer is in state 07


@dataclass(frozen=True, kw_only=True)
class Listening:
    """A socket that waits: its protocol, its address as text, its port."""

    protocol: Protocol
    address: str
    port: int

    def takes(self, protocol: Protocol, address: str | None, port: int) -> bool:
        """Whether it is there for this address; None asks for no certain one."""
        return (self.protocol, self.port) == (protocol, port) and (
            address is None or self.address == address or self.address in EVERYWHERE
        )

    @property
    def local(self) -> bool:
        """Only the machine itself can reach it."""
        return self.address == "::1" or self.address.startswith("127.")

    def __str__(self) -> str:
        address = bracketed(self.address)
        return f"{self.protocol}://{address}:{self.port}"


def listening(host: Host) -> tuple[Listening, ...]:
    """The machine's listening TCP sockets and bound UDP sockets."""
    return tuple(_sockets(host.run(TABLES).stdout))


def wanted(text: str) -> tuple[Protocol, str | None, int]:
    """Protocol, address and port of `8080`, `53/udp`, `tcp://22` or `tcp://127.0.0.1:22`.

    Raises:
        ValueError: it is none of these.
    """
    match = re.fullmatch(r"(?:(tcp|udp)://)?(?:\[?([\w.:]*?)\]?:)?(\d+)(?:/(tcp|udp))?", text)
    if not match:
        raise ValueError(f"{text} is not a port: write 8080, 53/udp or tcp://127.0.0.1:22")
    protocol = cast("Protocol", match[1] or match[4] or "tcp")
    return protocol, match[2] or None, int(match[3])


def _sockets(tables: str) -> Iterator[Listening]:
    for line in tables.splitlines():
        words = line.split()
        if len(words) < 4 or ":" not in words[1]:
            continue
        protocol = _LISTENS.get(words[3])
        no_peer = set(words[2]) <= {"0", ":"}
        if protocol is None or not no_peer:
            continue
        address, _, port = words[1].partition(":")
        yield Listening(protocol=cast("Protocol", protocol), address=_address(address), port=int(port, 16))


def _address(digits: str) -> str:
    """The kernel prints each 32 bits of an address in its own order of bytes."""
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    raw = struct.pack(f"={len(words)}I", *words)
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    text = socket.inet_ntop(family, raw)
    return text.removeprefix("::ffff:") if "." in text else text
