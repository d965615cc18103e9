"""Published ports for people: consecutive ones as one range."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.model import PortStatus

FEW = 4  # neighbours that are a range


def port_ranges(ports: Sequence[PortStatus]) -> tuple[tuple[PortStatus, ...], ...]:
    """The ports in groups: neighbours on both sides together, all others alone."""
    rows: list[list[PortStatus]] = []
    for port in sorted(ports, key=lambda each: (each.protocol, each.address, each.guest, each.host)):
        last = rows[-1][-1] if rows else None
        if last is not None and (last.guest + 1, last.host + 1, last.address, last.protocol) == (
            port.guest, port.host, port.address, port.protocol,
        ):  # fmt: skip
            rows[-1].append(port)
        else:
            rows.append([port])
    groups = [tuple(row) for row in rows if len(row) >= FEW]
    groups += [(port,) for row in rows if len(row) < FEW for port in row]
    return tuple(sorted(groups, key=lambda group: (group[0].guest, group[0].protocol)))


def in_a_cell(ports: Sequence[PortStatus]) -> str:
    """The ports of a table's row; empty where there are none."""
    groups = port_ranges(ports)
    return " ".join(f"{'→'.join(spelled(group))}/{group[0].protocol}" for group in groups)


def spelled(group: Sequence[PortStatus]) -> tuple[str, str]:
    """The host's side and the port inside: ("127.0.0.1:8000-8010", "8000-8010")."""
    first, last = group[0], group[-1]
    if first is last:
        return first.endpoint, str(first.guest)
    return f"{first.endpoint}-{last.host}", f"{first.guest}-{last.guest}"
