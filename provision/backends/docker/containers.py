"""An existing container: its state, and how to run commands in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.container_entry import target_of
from provision.backends.container_labels import ID, MACHINE, NEEDS
from provision.backends.docker.forwards import forwarded
from provision.docker_client import queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.docker_client.queries import Container
    from provision.model import Environment, MachineState
    from provision.state import StateDir
    from provision.target import Target


def container_name(environment: Environment, machine: str) -> str:
    """The container of a machine, as Compose names it."""
    return f"{environment.unique_name}-{machine}-1"


def of_environment(state_dir: StateDir) -> tuple[Container, ...]:
    """Those of its machines: they carry its id. Their ports are those by which this host reaches them."""
    found = queries.containers_with(f"{ID}={state_dir.id}")
    return forwarded(state_dir, tuple(each for each in found if MACHINE in each.labels))


def held_here(containers: Sequence[Container]) -> frozenset[tuple[int, str]]:
    """The ports of this host that its containers hold, or what forwards to them."""
    return frozenset((port.host, port.protocol) for each in containers for port in each.ports)


def in_order_of_ending(containers: Sequence[Container]) -> tuple[tuple[Container, ...], ...]:
    """Groups that may stop at the same time: a machine stops before those that it needs."""
    left = {each.labels[MACHINE]: each for each in containers}
    groups = []
    while left:
        needed = {need for each in left.values() for need in each.labels.get(NEEDS, "").split()}
        free = tuple(each for name, each in left.items() if name not in needed) or tuple(left.values())
        groups.append(free)
        for each in free:
            del left[each.labels[MACHINE]]
    return tuple(groups)


def state(container: Container | None) -> MachineState:
    """A machine's state, from its container alone."""
    if container is None:
        return "absent"
    if container.paused:
        return "paused"
    if container.restarting or (container.running and container.health == "unhealthy"):
        return "unhealthy"
    return "running" if container.running else "stopped"


def enter(container: Container) -> Target:
    """The machine as the user, and in the folder, that its labels say."""
    return target_of(container.name, container.labels, container.ports)
