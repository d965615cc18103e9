"""The notations of a port: GUEST, HOST:GUEST, ADDRESS:HOST:GUEST, each possibly a range."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection

    from provision.spec.tree import Node

LONGEST = 256  # ports of a range: each is forwarded by itself
_FORM = re.compile(
    r"(?:(?:(?P<address>\[[^\]]*\]|[^\[\]:/]*):)?(?P<host>[0-9]*(?:-[0-9]+)?):)?"
    r"(?P<guest>[0-9]+(?:-[0-9]+)?)(?:/(?P<protocol>tcp|udp))?"
)


@dataclass(frozen=True, kw_only=True)
class PortForm:
    """A written port: its numbers as text, FIRST or FIRST-LAST; empty where they are left out."""

    guest: str
    host: str = ""
    address: str = ""
    protocol: str = "tcp"

    def pairs(self) -> list[tuple[str, str]] | None:
        """Guest and host of each port of a range; None where it is no range, or too long."""
        guests, hosts = numbers(self.guest), numbers(self.host) if self.host else []
        if guests is None or hosts is None:
            return None
        return list(zip(guests, hosts or [""] * len(guests), strict=False))


def port_form(text: str) -> PortForm | None:
    """The parsed port; None if it is not a port."""
    match = _FORM.fullmatch(text)
    return match and PortForm(**{key: value for key, value in match.groupdict().items() if value})


def numbers(text: str) -> list[str] | None:
    """The numbers of FIRST-LAST; None where the last comes before the first, or there are too many."""
    first, _, last = text.partition("-")
    if not last:
        return [text]
    if max(len(first), len(last)) > 5 or not 0 <= int(last) - int(first) < LONGEST:
        return None
    return [str(number) for number in range(int(first), int(last) + 1)]


def guest_ports(node: Node) -> list[str]:
    """What makes two entries of `ports` the same: the ports inside, with their protocol."""
    if isinstance(node.value, dict):
        guest, protocol = node.value.get("guest"), node.value.get("protocol")
        return [f"{guest.value if guest else ''}/{protocol.value if protocol else 'tcp'}"]
    text = str(node.value)
    form = port_form(text)
    if form is None:  # something that is yet to be filled in, or no port
        guest_text, _, protocol_name = text.rpartition(":")[2].partition("/")
        return [f"{guest_text}/{protocol_name or 'tcp'}"]
    return [f"{guest}/{form.protocol}" for guest in numbers(form.guest) or [form.guest]]


def without(node: Node, taken: Collection[str]) -> list[Node]:
    """What is left of an entry of `ports` after another layer redefined these ports."""
    own = guest_ports(node)
    if not set(own) & set(taken):
        return [node]
    form = None if isinstance(node.value, dict) else port_form(str(node.value))
    pairs = form.pairs() if form else None
    if form is None or pairs is None:
        return []
    outside = f"{form.address}:" if form.address else ""
    return [
        node.with_value(f"{outside}{host}{':' if host or outside else ''}{guest}/{form.protocol}")
        for guest, host in pairs
        if f"{guest}/{form.protocol}" not in taken
    ]
