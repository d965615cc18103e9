"""The ports of a machine."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from provision.model import Port, plain_address
from provision.spec.port_forms import LONGEST, numbers, port_form

if TYPE_CHECKING:
    from provision.model import Protocol
    from provision.spec.port_forms import PortForm
    from provision.spec.scope import Scope
    from provision.spec.tree import Node

LOOPBACK = "127.0.0.1"
_EVERY = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - read, not bound


def read_ports(nodes: list[Node], scope: Scope) -> tuple[Port, ...]:
    """The ports, those of ranges one by one; no host port is used twice."""
    ports: list[Port] = []
    for node in nodes:
        for port in _ports(node, scope):
            problem = next((text for other in ports if (text := _clash(port, other))), None)
            if problem is None:
                ports.append(port)
            else:
                scope.problems.add(problem, node, "remove one of the two")
                break
    return tuple(ports)


def share_host_port(one: Port, other: Port) -> bool:
    """Whether two ports want the same port of the host: on one address, or one of them on every address."""
    if one.host is None or (one.host, one.protocol) != (other.host, other.protocol):
        return False
    first, second = ipaddress.ip_address(one.address), ipaddress.ip_address(other.address)
    return first == second or (
        first.version == second.version and _EVERY[first.version] in (one.address, other.address)
    )


def _clash(port: Port, other: Port) -> str | None:
    """What is wrong with a port, given an earlier one."""
    line = f"first in line {other.origin.line}"
    if share_host_port(port, other):
        return f"the host's port {port.host} is used twice, {line}"
    same = (port.guest, port.protocol, port.address) == (other.guest, other.protocol, other.address)
    if same and None in (port.host, other.host):
        return f"the port {port.guest}/{port.protocol} is used twice, {line}"
    return None


def _ports(node: Node, scope: Scope) -> list[Port]:
    """The ports of one entry."""
    if isinstance(node.value, dict):
        fields = scope.fields(node)
        guest = _number(fields.node("guest"), scope)
        host = _number(fields.node("host"), scope)
        address = _address(fields.text("address", LOOPBACK), fields.node("address") or node, scope)
        protocol: Protocol = "udp" if fields.data("protocol") == "udp" else "tcp"
        pairs = [] if guest is None else [(guest, host)]
        optional = fields.flag("optional")
    else:
        form = port_form(str(node.value))
        if form is None:
            if not scope.problems.at(node):
                scope.problems.add(
                    f"{node.value} is not a port",
                    node,
                    'write "8080", "18080:8080", "127.0.0.1:18080:8080" or "8000-8010:8000-8010",'
                    " with /udp if need be",
                )
            return []
        address = _address(form.address or LOOPBACK, node, scope)
        protocol = "udp" if form.protocol == "udp" else "tcp"
        pairs = _pairs(form, node, scope)
        optional = len(pairs) > 1
    if not pairs or address is None:
        return []
    if not ipaddress.ip_address(address).is_loopback:
        guests, hosts = ([pair[side] for pair in pairs] for side in (0, 1))
        scope.demands.ask(
            "network", f"port {_span(guests)}/{protocol} on {address}:{_span(hosts)}", node,
            f"the port {_span(guests)} is published on {address}, where other hosts can reach it",
            f"leave the address out for {LOOPBACK}",
        )  # fmt: skip
    return [
        Port(guest=guest, host=host, address=address, protocol=protocol, optional=optional,
             origin=node.origin)
        for guest, host in pairs
    ]  # fmt: skip


def _span(numbers: list[int] | list[int | None]) -> str:
    first, last = numbers[0], numbers[-1]
    return f"{first or 'any'}" if first == last else f"{first}-{last}"


def _pairs(form: PortForm, node: Node, scope: Scope) -> list[tuple[int, int | None]]:
    """Guest and host of each port of a written form."""
    guests = numbers(form.guest)
    hosts = numbers(form.host) if form.host else []
    if guests is None or hosts is None:
        scope.problems.add(
            f"{form.guest if guests is None else form.host} is not a range of ports", node,
            f"write FIRST-LAST, {LONGEST} ports at most",
        )  # fmt: skip
        return []
    if hosts and len(guests) != len(hosts):
        scope.problems.add(
            f"the ranges {form.host} and {form.guest} have {len(hosts)} and {len(guests)} ports",
            node,
            "make them equally long, or leave out the host's side",
        )
        return []
    pairs = []
    for guest, host in zip(guests, hosts or [""] * len(guests), strict=True):
        number = _in_range(guest, node, scope)
        outside = _in_range(host, node, scope) if host else None
        if number is not None and (outside is not None or not host):
            pairs.append((number, outside))
    return pairs


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
        return plain_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        scope.problems.add(
            f"{text} is not an address to bind a port to",
            node,
            "write an IP address, like 127.0.0.1, 0.0.0.0 or [::1]",
        )
        return None
