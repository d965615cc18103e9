"""What `down` removes: everything with the environment's id, and nothing else; it needs no record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import process
from provision.backends.docker import engine
from provision.backends.docker.containers import in_order_of_ending
from provision.backends.docker.ownership import ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.backends.docker.engine import Container
    from provision.state import StateDir


def end(containers: Sequence[Container], *, volumes: bool = False) -> None:
    """Stop containers as they should end, whoever needs another before it, and remove them.

    Args:
        containers: containers of machines.
        volumes: remove volumes that have no name too.
    """
    for group in in_order_of_ending(containers):
        paused = [each.name for each in group if each.paused]
        if paused:
            process.run(["docker", "unpause", *paused])
        process.run(["docker", "stop", *(each.name for each in group)], check=False)
        process.run(
            ["docker", "rm", "--force", *(["--volumes"] if volumes else []), *(c.name for c in group)]
        )


def remove_networks(state_dir: StateDir) -> None:
    """Remove the environment's networks."""
    if names := engine.networks_with(f"{ID}={state_dir.id}"):
        process.run(["docker", "network", "rm", *names])


def remove_volumes(state_dir: StateDir) -> None:
    """Remove the environment's volumes, including those that no machine uses any more."""
    if names := engine.volumes_with(f"{ID}={state_dir.id}"):
        process.run(["docker", "volume", "rm", *names])
