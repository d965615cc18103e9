"""The private network of an environment's machines: who has which address on it; pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from provision.backends.vm.driver import Card, Neighbour

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Environment

# Kept free for tests of network devices: neither a guest's other network nor a company's has it.
# Every environment has the same, for none is joined to another or to the host.
NETWORK, PREFIX, ROOM = "198.18", 16, 256 * 256 - 512


def cards(environment: Environment) -> Mapping[str, Card]:
    """The card of each machine by its name; none where it is alone in its environment.

    An address follows from the machine's name, so that a new neighbour changes nobody else's.
    """
    if not environment.several:
        return {}
    taken: dict[int, str] = {}
    for name in sorted(machine.name for machine in environment.machines):
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % ROOM
        while place in taken:
            place = (place + 1) % ROOM
        taken[place] = name
    addresses = {name: f"{NETWORK}.{1 + place // 256}.{place % 256}" for place, name in taken.items()}
    neighbours = tuple(
        Neighbour(
            mac=_mac(environment.name, machine.name),
            address=addresses[machine.name],
            names=machine.names,
        )
        for machine in environment.machines
    )
    return {
        machine.name: Card(mac=each.mac, address=each.address, prefix=PREFIX, neighbours=neighbours)
        for machine, each in zip(environment.machines, neighbours, strict=True)
    }


def _mac(environment: str, machine: str) -> str:
    """A hardware address of those that nobody is given."""
    digest = hashlib.sha256(f"{environment}/{machine}".encode()).hexdigest()
    return ":".join(["52:54:00", *(digest[at : at + 2] for at in (0, 2, 4))])
