"""Published ports as people read them."""

from __future__ import annotations

from provision.cli.port_ranges import port_ranges, spelled
from provision.model import PortStatus


def port(guest: int, host: int, address: str = "127.0.0.1") -> PortStatus:
    return PortStatus(guest=guest, host=host, address=address, protocol="tcp")


def test_neighbours_on_both_sides_are_a_range_and_others_are_not() -> None:
    ports = [port(80, 8080), port(80, 8081, "::1"), port(81, 8081)]
    ports += [port(9000 + number, 8000 + number) for number in range(11)]
    ports += [port(7000 + number, 6000 - number) for number in range(5)]
    assert [spelled(group) for group in port_ranges(ports)] == [
        ("127.0.0.1:8080", "80"),
        ("[::1]:8081", "80"),
        ("127.0.0.1:8081", "81"),
        *((f"127.0.0.1:{6000 - number}", f"{7000 + number}") for number in range(5)),
        ("127.0.0.1:8000-8010", "9000-9010"),
    ]
