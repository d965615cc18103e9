"""Which connections from the host last: those that a server keeps, silent or not."""

from __future__ import annotations

import dataclasses
import errno
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from provision.model import PortStatus
from provision.verify.connections import MOST, Connections, problems_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def served(
    answer: Callable[[socket.socket], None] | None, address: str = "127.0.0.1"
) -> Iterator[PortStatus]:
    """A port that does this with whoever connects; None: nobody listens."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((address, 0))
        port = PortStatus(guest=80, host=server.getsockname()[1], address=address, protocol="tcp")
        if answer is None:
            yield port
            return
        server.listen()
        kept = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                kept.append(connection)
                answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield port
        server.shutdown(socket.SHUT_RDWR)
        for connection in kept:
            connection.close()


def silent(_connection: socket.socket) -> None:
    """Wait for the other side, as HTTP does."""


def greeting(connection: socket.socket) -> None:
    connection.sendall(b"220 welcome\r\n")


def hanging_up(connection: socket.socket) -> None:
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (silent, None),
        (greeting, None),
        (hanging_up, "hangs up"),
        (reset, ""),  # before or after it is accepted
        (None, "does not answer"),
    ],
)
def test_both_ways_to_ask_agree(answer: Callable[[socket.socket], None] | None, wrong: str | None) -> None:
    with served(answer) as port:
        lasts = port in Connections([port]).lasting()
        problems = tuple(problems_of(port))
    assert lasts is (wrong is None)
    assert len(problems) == (wrong is not None)
    assert all(str(wrong) in problem for problem in problems)


def test_all_are_opened_at_once_and_only_those_that_last_are_told() -> None:
    with served(silent) as good, served(hanging_up) as bad, served(None) as nobody:
        datagrams = PortStatus(guest=53, host=good.host, address="127.0.0.1", protocol="udp")
        assert Connections([bad, good, nobody, datagrams]).lasting() == {good}


def test_one_that_is_asked_late_is_closed_when_it_is_told() -> None:
    told = threading.Event()

    def until_closed(connection: socket.socket) -> None:
        if not connection.recv(1):
            told.set()

    with served(until_closed) as port:
        connections = Connections([port])
        time.sleep(0.2)
        assert connections.lasting() == {port}
        assert told.wait(60)


@pytest.mark.parametrize("address", ["0.0.0.0", "::1", "::"])
def test_an_address_for_all_is_reached_at_this_host(address: str) -> None:
    with served(silent, address) as port:
        assert Connections([port]).lasting() == {port}
        assert tuple(problems_of(port)) == ()


def test_of_very_many_only_the_first_are_opened() -> None:
    with served(silent) as good:
        ports = [dataclasses.replace(good, guest=number) for number in range(2000)]
        assert Connections(ports).lasting() == {*ports[:MOST]}


def test_a_host_without_ipv6_has_no_connection_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class OfIPv4(socket.socket):
        def __init__(self, family: int = socket.AF_INET, *words: Any, **more: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *words, **more)

    with served(silent) as good:
        monkeypatch.setattr(socket, "socket", OfIPv4)
        absent = PortStatus(guest=80, host=good.host, address="::1", protocol="tcp")
        assert Connections([absent, good]).lasting() == {good}
