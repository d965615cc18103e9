"""What `stop` ends and `down` removes: what has the environment's id, and nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from provision import process
from provision.backends.container_labels import MACHINES, NEEDS, STACK_ID
from provision.docker_client import commands, queries, swarm
from provision.errors import EnvironmentFailed, ProvisionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.swarm.reach import Reach
    from provision.backends.swarm.watch import Watch
    from provision.docker_client.swarm import Service
    from provision.progress import Progress
    from provision.state import StateDir

BETWEEN = 0.3
GOES_WITHIN = 60.0  # seconds beyond its grace that a container may take to end
_ENDED = ("complete", "shutdown", "failed", "rejected", "remove", "orphaned")


def in_order_of_ending(services: Mapping[str, Service]) -> tuple[tuple[str, ...], ...]:
    """Groups of services that may end at the same time: each before those that it needs. Pure."""
    left = dict(services)
    groups = []
    while left:
        needed = {need for each in left.values() for need in each.labels.get(NEEDS, "").split()}
        free = tuple(
            name for name, each in left.items() if not needed & set(each.labels[MACHINES].split())
        ) or tuple(left)
        groups.append(free)
        for name in free:
            del left[name]
    return tuple(groups)


def end(watch: Watch, services: Mapping[str, Service]) -> bool:
    """Scale services to nothing, each before those that it needs, and wait until their tasks have ended.

    One on a node that is down is not waited for. False: none of them was running.
    """
    running = {name: each for name, each in services.items() if each.replicas}
    for group in in_order_of_ending(running):
        swarm.scale(dict.fromkeys(group, 0))
        ids = {running[name].id for name in group}
        deadline = time.monotonic() + GOES_WITHIN + 60
        while time.monotonic() < deadline:
            seen = watch.look(anew=True)
            down = {node.id for node in seen.nodes.values() if not node.ready}
            left = [
                task
                for task in seen.tasks
                if task.service in ids and task.state not in _ENDED and task.node not in down
            ]
            if not any(task.container or task.state not in ("new", "pending") for task in left):
                break
            time.sleep(BETWEEN)
    return bool(running)


def remove_network(state_dir: StateDir) -> None:
    """Remove the environment's networks, which the last containers may still be leaving.

    Raises:
        EnvironmentFailed: something else uses one.
    """
    deadline = time.monotonic() + GOES_WITHIN
    while names := queries.networks_with(f"{STACK_ID}={state_dir.id}"):
        try:
            commands.remove_networks(names)
        except process.CommandFailed as error:
            if time.monotonic() > deadline:
                raise EnvironmentFailed(
                    f"the network {', '.join(names)} cannot be removed", evidence=error.evidence[-3:],
                    hint="end what uses it: `docker network inspect --verbose` names it",
                ) from error  # fmt: skip
        time.sleep(BETWEEN)


def volumes(state_dir: StateDir, reach: Reach) -> Mapping[str, tuple[str, ...]]:
    """The environment's volumes on each node whose engine answers, by the node's id."""
    found = {}
    for node in reach.nodes:
        if not reach.why_not(node):
            try:
                names = swarm.volumes_at(reach.host(node), f"{STACK_ID}={state_dir.id}")
            except ProvisionError:
                continue
            if names:
                found[node] = names
    return found


def remove_volumes(state_dir: StateDir, reach: Reach, progress: Progress) -> None:
    """Remove them where that can be; what is on a node that cannot be asked is said."""
    for node in reach.nodes.values():
        if reason := reach.why_not(node.id):
            progress.note(f"volumes on {node.name}, if there are any, stay: {reason}")
    deadline = time.monotonic() + GOES_WITHIN
    for node_id, names in volumes(state_dir, reach).items():
        while True:
            try:
                swarm.remove_volumes_at(reach.host(node_id), names)
            except process.CommandFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(BETWEEN)
                names = volumes(state_dir, reach).get(node_id, ())
                if not names:
                    break
            else:
                break
