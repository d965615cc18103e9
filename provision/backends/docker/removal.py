"""What `down` removes: everything with the environment's id, and nothing else; it needs no record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.container_labels import ID
from provision.backends.docker.containers import in_order_of_ending
from provision.docker_client import commands, queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.docker_client.queries import Container
    from provision.state import StateDir


def end(containers: Sequence[Container], *, volumes: bool = False) -> None:
    """Stop containers properly, each before those that it needs, and remove them.

    Args:
        containers: containers of machines.
        volumes: remove volumes that have no name too.
    """
    for group in in_order_of_ending(containers):
        paused = [each.name for each in group if each.paused]
        if paused:
            commands.unpause(paused)
        names = [container.name for container in group]
        commands.stop(names, check=False)
        commands.remove_containers(names, volumes=volumes)


def remove_networks(state_dir: StateDir) -> None:
    """Remove the environment's networks."""
    if names := queries.networks_with(f"{ID}={state_dir.id}"):
        commands.remove_networks(names)


def remove_volumes(state_dir: StateDir) -> None:
    """Remove the environment's volumes, including those that no machine uses any more."""
    if names := queries.volumes_with(f"{ID}={state_dir.id}"):
        commands.remove_volumes(names)
