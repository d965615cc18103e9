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
    """Connections to the first of these ports, opened at once: so they are waited for only once."""

    def __init__(self, ports: Iterable[PortStatus]) -> None:
        self._begun = time.monotonic()
        self._opened: dict[PortStatus, socket.socket] = {}
        for port in islice((port for port in ports if port.protocol == "tcp"), MOST):
            with suppress(OSError):  # a host without IPv6: whoever asks that port alone is told
                self._opened[port] = _begin(port)

    def lasting(self) -> frozenset[PortStatus]:
        """Those that are accepted, and not hung up for a moment; all are closed then."""
        if self._opened:
            time.sleep(max(0.0, self._begun + HANG_UP - time.monotonic()))
        return frozenset(port for port, connection in self._opened.items() if _lasts(connection))


def _begin(port: PortStatus) -> socket.socket:
    address = reachable(port.address)
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    connection.setblocking(False)  # noqa: FBT003 - the standard library's parameter
    with suppress(OSError):  # it connects later, or is asked again
        connection.connect((address, port.host))
    return connection


def _lasts(connection: socket.socket) -> bool:
    with connection:
        try:
            connection.getpeername()
            return bool(connection.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True  # a server that waits for us to speak
        except OSError:
            return False


def problems_of(port: PortStatus) -> Iterator[str]:
    """Why a port of the host gives no connection that lasts."""
    try:
        with socket.create_connection((reachable(port.address), port.host), PATIENCE) as connection:
            connection.settimeout(HANG_UP)
            try:
                heard = connection.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                return
            except ConnectionResetError:
                heard = b""
            if not heard:
                yield f"{port.endpoint} on the host hangs up: nothing listens behind it"
    except OSError as error:
        yield f"{port.endpoint} on the host does not answer: {error.strerror or error}"


def reachable(address: str) -> str:
    """The address to connect to where a port is bound to this one."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(address, address)  # noqa: S104
