"""Additional names in a machine's /etc/hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.model import HostEntry, plain_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.model import Machine
    from provision.spec.problems import Problems
    from provision.spec.scope import Scope
    from provision.spec.tree import Node

_LOCAL = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})


def read_hosts(nodes: Mapping[str, Node], scope: Scope) -> tuple[HostEntry, ...]:
    """The names with their addresses, in the order of the spec."""
    entries = []
    for name, node in nodes.items():
        if not isinstance(node.value, str):
            continue  # the schema has said so
        if name in _LOCAL:
            scope.problems.add(f"{name} is the machine itself", node.key_origin, "use another name")
        elif (address := _address(node.value, node, scope)) is not None:
            entries.append(HostEntry(name=name, address=address, origin=node.key_origin))
    return tuple(entries)


def _address(text: str, node: Node, scope: Scope) -> str | None:
    try:
        if "%" in text:
            raise ValueError  # noqa: TRY301 - a zone names a card of one host
        return plain_address(text)
    except ValueError:
        hint = "write an IP address, like 192.0.2.10 or 2001:db8::10"
        scope.problems.add(f"{text} is not an IP address", node, hint)
        return None


def refuse_own_names(machines: Sequence[Machine], problems: Problems) -> None:
    """Take a problem where an entry has the name of a machine of the environment."""
    owners = {name: machine.name for machine in machines for name in machine.names}
    for machine in machines:
        for entry in machine.hosts:
            if entry.name in owners:
                problems.add(
                    f"{entry.name} is a name of machine {owners[entry.name]}",
                    entry.origin,
                    "leave it out: the machines of an environment know each other by name",
                )
