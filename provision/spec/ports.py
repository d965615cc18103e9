"""The ports of a machine."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from provision.model import Port

if TYPE_CHECKING:
    from provision.model import Protocol
    from provision.spec.scope import Scope
    from provision.spec.tree import Node

LOOPBACK = "127.0.0.1"
_FORM = re.compile(
    r"(?:(?:(?P<address>\[[^\]]*\]|[^\[\]:/]*):)?(?P<host>[0-9]*):)?(?P<guest>[0-9]+)"
    r"(?:/(?P<protocol>tcp|udp))?"
)


def read_ports(nodes: list[Node], scope: Scope) -> tuple[Port, ...]:
    """The ports; none twice inside, none twice on the host."""
    guests: dict[tuple[int, str], Port] = {}
    hosts: dict[tuple[int, str, str], Port] = {}
    for node in nodes:
        port = _port(node, scope)
        if port is None:
            continue
        inside = (port.guest, port.protocol)
        outside = (port.host or 0, port.address, port.protocol)
        if inside in guests:
            _refuse_twice(f"the port {port.guest}/{port.protocol}", guests[inside], node, scope)
        elif port.host is not None and outside in hosts:
            _refuse_twice(f"the host's port {port.host}", hosts[outside], node, scope)
        guests.setdefault(inside, port)
        hosts.setdefault(outside, port)
    return tuple(guests.values())


def _refuse_twice(what: str, first: Port, node: Node, scope: Scope) -> None:
    scope.problems.add(
        f"{what} is used twice, first in line {first.origin.line}", node, "remove one of the two"
    )


def _port(node: Node, scope: Scope) -> Port | None:
    if isinstance(node.value, dict):
        fields = scope.fields(node)
        guest = _number(fields.node("guest"), scope)
        host = _number(fields.node("host"), scope)
        address = _address(fields.text("address", LOOPBACK), fields.node("address") or node, scope)
        protocol: Protocol = "udp" if fields.data("protocol") == "udp" else "tcp"
    else:
        match = _FORM.fullmatch(str(node.value))
        if match is None:
            if not scope.problems.at(node):
                scope.problems.add(
                    f"{node.value} is no port",
                    node,
                    'write "8080", "18080:8080" or "127.0.0.1:18080:8080", with /udp if need be',
                )
            return None
        guest = _in_range(match["guest"], node, scope)
        host = _in_range(match["host"], node, scope) if match["host"] else None
        address = _address(match["address"] or LOOPBACK, node, scope)
        protocol = "udp" if match["protocol"] == "udp" else "tcp"
    if guest is None or address is None:
        return None
    if not ipaddress.ip_address(address).is_loopback:
        scope.demands.ask(
            "network", f"port {guest}/{protocol} on {address}:{host or 'any'}", node,
            f"the port {guest} is published on {address}, where other hosts can reach it",
            f"leave the address out for {LOOPBACK}",
        )  # fmt: skip
    return Port(guest=guest, host=host, address=address, protocol=protocol, origin=node.origin)


def _number(node: Node | None, scope: Scope) -> int | None:
    return None if node is None else _in_range(str(node.value), node, scope)


def _in_range(text: str, node: Node, scope: Scope) -> int | None:
    if text.isascii() and text.isdigit() and 0 < int(text[:9]) < 65536:
        return int(text)
    if not scope.problems.at(node):
        scope.problems.add(f"the port {text} is out of range", node, "1 to 65535")
    return None


def _address(text: str, node: Node, scope: Scope) -> str | None:
    try:
        if "%" in text:  # a zone is free text, and no engine binds a port to one
            scope.problems.add(
                f"{text} names a zone of this host", node, "write the address without its %ZONE"
            )
            return None
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        scope.problems.add(
            f"{text} is no address to bind a port to",
            node,
            "write an IP address, like 127.0.0.1, 0.0.0.0 or [::1]",
        )
        return None
