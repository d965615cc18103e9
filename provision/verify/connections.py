"""Connections from the host to published ports: which of them last."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provision.model import PortStatus

PATIENCE = 5.0  # seconds to connect from the host
HANG_UP = 0.1  # seconds in which a forwarder hangs up when nobody listens behind it
MOST = 100  # a process may have a thousand open files, and a spec as many ports


class Connections:
    """Connections to the first hundred of these ports, all opened at once, so that one wait does for all."""

    def __init__(self, ports: Iterable[PortStatus]) -> None:
        self._begun = time.monotonic()
        self._opened: dict[PortStatus, socket.socket] = {}
        for port in islice((port for port in ports if port.protocol == "tcp"), MOST):
            with suppress(OSError):  # a host without IPv6: the check of that port reports it
                self._opened[port] = _begin(port)

    def lasting(self) -> frozenset[PortStatus]:
        """The ports whose connection was accepted and stayed open; closes every connection."""
        if self._opened:
            time.sleep(max(0.0, self._begun + HANG_UP - time.monotonic()))
        return frozenset(port for port, connection in self._opened.items() if _lasts(connection))


def _begin(port: PortStatus) -> socket.socket:
    address = reachable(port.address)
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    connection.setblocking(False)  # noqa: FBT003 - the standard library's parameter
    with suppress(OSError):  # in progress, or refused: `lasting` finds out which
        connection.connect((address, port.host))
    return connection


def _lasts(connection: socket.socket) -> bool:
    with connection:
        try:
            connection.getpeername()
            return not _hangs_up(connection)
        except OSError:
            return False


def _hangs_up(connection: socket.socket) -> bool:
    """Whether the other side closed the connection; a server that waits for us to speak did not."""
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, TimeoutError):
        return False
    except ConnectionResetError:
        return True


def problems_of(port: PortStatus) -> Iterator[str]:
    """Why a port of the host gives no connection that lasts."""
    try:
        with socket.create_connection((reachable(port.address), port.host), PATIENCE) as connection:
            connection.settimeout(HANG_UP)
            if _hangs_up(connection):
                yield f"{port.endpoint} on the host hangs up: nothing listens behind it"
    except OSError as error:
        yield f"{port.endpoint} on the host does not answer: {error.strerror or error}"


def reachable(address: str) -> str:
    """The address to connect to where a port is bound to this one."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(address, address)  # noqa: S104
