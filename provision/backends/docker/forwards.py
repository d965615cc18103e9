"""Ports of containers on another host, as this host reaches them.

The engine publishes each port on the loopback of its host, at a number that is free there. ssh listens here,
at the number that the spec names or that was chosen, and forwards to it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provision import forwarding
from provision.backends.container_labels import MACHINE
from provision.backends.ports import key
from provision.model import PortStatus, bracketed
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.docker_client.queries import Container
    from provision.model import Environment
    from provision.state import StateDir

PLACES = "places"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where this host reaches a port of a machine."""

    machine: str
    port: PortStatus


@dataclass(frozen=True, kw_only=True)
class PlacesRecord:
    """Where this host is to reach the ports of an environment."""

    places: tuple[Place, ...]


def note_places(state_dir: StateDir, environment: Environment, chosen: Mapping[str, int]) -> None:
    """Keep where this host is to reach an environment's ports; the chosen numbers are by `ports.key`."""
    if not environment.is_elsewhere:
        return
    places = tuple(
        Place(
            machine=machine.name,
            port=PortStatus(
                guest=port.guest,
                host=chosen[key(machine.name, port)],
                address=port.address,
                protocol=port.protocol,
            ),
        )
        for machine in environment.machines
        for port in machine.ports
    )
    state_dir.save(PLACES, PlacesRecord(places=places))


def forwarded(state_dir: StateDir, containers: Sequence[Container]) -> tuple[Container, ...]:
    """The containers with their ports as this host reaches them; ssh is started where it has to be.

    Containers on this host are returned as they are.

    Raises:
        EnvironmentFailed: ssh cannot log in, or a port is taken here.
    """
    if not state_dir.address:
        return tuple(containers)
    noted = state_dir.load_sound(PLACES, PlacesRecord)
    places = noted.places if noted else ()
    wanted = tuple(
        word for each in containers if each.running for word in words_of(each, _places_of(each, places))
    )
    forwarding.forward(state_dir, wanted)
    return tuple(replace(each, ports=_places_of(each, places)) for each in containers)


def _places_of(container: Container, places: Sequence[Place]) -> tuple[PortStatus, ...]:
    machine = container.labels.get(MACHINE)
    return tuple(place.port for place in places if place.machine == machine)


def words_of(container: Container, places: Sequence[PortStatus]) -> tuple[str, ...]:
    """The words of ssh's option -L that forward to a container's ports from these places; pure."""
    published = {(port.guest, port.protocol): port for port in container.ports}
    return tuple(
        f"{bracketed(here.address)}:{here.host}:{bracketed(there.address)}:{there.host}"
        for here in places
        if (there := published.get((here.guest, here.protocol))) is not None
    )
