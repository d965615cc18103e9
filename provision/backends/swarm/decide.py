"""What `up` has to do, from the environment of the spec and what was observed; pure."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

from provision.backends import causes
from provision.backends.base import Plan, PlannedAction, PlannedBuild, losing
from provision.backends.container_image import image_names
from provision.backends.container_labels import MACHINES, RENDERING
from provision.backends.swarm.options import options_of
from provision.backends.swarm.render import (
    Group,
    groups_of,
    has_local_folders,
    is_bound,
    service_name,
    volume_names,
)
from provision.errors import EnvironmentFailed
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provision.backends.swarm.observe import Observed
    from provision.docker_client.swarm import Node, Service, Task
    from provision.model import Environment, Machine, MachineState
    from provision.rendering import Rendering

REBUILD = "--rebuild"
OWN_DISK = "what was written in it outside its volumes"
WAITS = ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a machine stands: its state, the node that has its task, and what the managers say of it."""

    state: MachineState
    node: str = ""
    note: str = ""
    task: Task | None = None


def decide(
    environment: Environment, rendering: Rendering, observed: Observed, *, rebuild: bool = False
) -> Plan:
    """The actions, each with its cause.

    Args:
        environment: what the spec describes.
        rendering: of it.
        observed: what is there.
        rebuild: trust nothing that was built before.

    Raises:
        EnvironmentFailed: something that is not the environment's own has a name that it needs.
    """
    if observed.strangers:
        raise EnvironmentFailed(
            "a name that this environment needs is taken by something else",
            evidence=observed.strangers,
            hint="remove or rename it if it is yours, or give this environment another name: `--name`",
        )
    groups = groups_of(environment)
    actions = {
        machine.name: _action(environment, group, slot, rendering, observed, rebuild=rebuild)
        for group in groups
        for slot, machine in enumerate(group.machines, 1)
    }
    wanted = tuple(_with_losses(environment, each, actions[each.name]) for each in environment.machines)
    gone = tuple(
        losing(PlannedAction(machine=name, action="remove", cause="the spec no longer has it"), OWN_DISK, ())
        for service in observed.services.values()
        for name in service.labels[MACHINES].split()
        if name not in actions
    )
    return Plan(
        machines=(*wanted, *gone),
        build=tuple(_builds(environment, rendering, observed, rebuild=rebuild)),
        notes=tuple(_notes(groups, observed)),
    )


def _with_losses(environment: Environment, machine: Machine, action: PlannedAction) -> PlannedAction:
    if action.action not in ("recreate", "refresh"):
        return action
    return losing(action, OWN_DISK, tuple(volume_names(environment, machine).values()))


def _action(
    environment: Environment,
    group: Group,
    slot: int,
    rendering: Rendering,
    observed: Observed,
    *,
    rebuild: bool,
) -> PlannedAction:
    machine = group.machines[slot - 1]
    service = observed.services.get(service_name(environment, group.name))
    if service is None or machine.name not in service.labels[MACHINES].split():
        return PlannedAction(
            machine=machine.name, action="create", cause="the Swarm has no service for it yet"
        )
    if rebuild:
        return PlannedAction(machine=machine.name, action="recreate", cause=REBUILD)
    if service.labels.get(RENDERING) != rendering.digests[machine.name]:
        why = causes.cause(observed.aspects.get(machine.name), causes.aspects(machine))
        return PlannedAction(machine=machine.name, action="recreate", cause=why)
    if changed := _changed_secrets(group, service, observed):
        why = ", ".join(f"secret {name} has a new value" for name in changed)
        return PlannedAction(machine=machine.name, action="refresh", cause=why)
    standing = stands(service, slot, observed.tasks, observed.nodes)
    if standing.state == "stopped":
        return PlannedAction(machine=machine.name, action="start", cause="it is stopped")
    if standing.state == "running":
        return PlannedAction(machine=machine.name, action="none")
    return PlannedAction(machine=machine.name, action="wait", cause=standing.note or "it is not ready yet")


def _changed_secrets(group: Group, service: Service, observed: Observed) -> list[str]:
    """The secrets whose value on the host is not the one that the service has."""
    return [
        secret.name
        for secret in group.first.secrets
        if observed.wanted_secrets[secret.name] not in service.secrets
    ]


def current(service: Service, slot: int, tasks: Sequence[Task]) -> Task | None:
    """The task that is the replica now: the newest that is wanted to run, else the newest. Pure."""
    own = [task for task in tasks if task.service == service.id and task.slot == slot]
    alive = [task for task in own if task.desired in ("running", "ready", "accepted")]
    return next(iter(alive or own), None)


def stands(service: Service | None, slot: int, tasks: Sequence[Task], nodes: Mapping[str, Node]) -> Standing:
    """How the machine in a slot of a service stands. Pure."""
    if service is None:
        return Standing(state="absent")
    if service.replicas < slot:
        return Standing(state="stopped")
    task = current(service, slot, tasks)
    if task is None:
        return Standing(state="starting", note="the Swarm has not planned it yet")
    node = nodes.get(task.node)
    name = node.name if node else task.node
    if node is not None and not node.ready:
        return Standing(state="not answering", node=name, note=f"its node {name} is down", task=task)
    if task.state == "running":
        return Standing(state="running", node=name, task=task)
    note = _note(task, [each for each in tasks if each.service == service.id and each.slot == slot])
    if task.state in WAITS:
        return Standing(state="starting", node=name, note=note, task=task)
    return Standing(state="unhealthy", node=name, note=note, task=task)


def _note(task: Task, of_slot: Sequence[Task]) -> str:
    """What the managers say of a task that does not run, or of the one before it."""
    if task.state in WAITS:
        failed = next((each for each in of_slot if each.state in ("failed", "rejected")), None)
        if task.state == "pending" and task.message and "waiting" not in task.message:
            return f"the Swarm finds no place for it: {task.message}"
        if failed is not None and task.state != "starting":
            return f"the Swarm starts it again: {failed.message}"
        return f"it is {task.state}" if task.state != "starting" else ""
    return f"it {task.state}: {task.message}" if task.message else f"it is {task.state}"


def homes(
    groups: Sequence[Group], observed: Observed, former: Mapping[str, str] | None = None
) -> Mapping[str, str]:
    """The node that each service is bound to that has to run on one, by its name in the stack. Pure.

    Where it was before it stays, for there are its volumes; a new one goes to the node of this engine if
    its folders are there, else to one that follows from its name, so that services spread.
    """
    kept = observed.homes if former is None else former
    found = {}
    for group in groups:
        if not is_bound(group):
            continue
        if has_local_folders(group):
            found[group.name] = observed.self_node
        elif group.name in kept:
            found[group.name] = kept[group.name]
        else:
            found[group.name] = _spread(group, observed)
    return found


def _spread(group: Group, observed: Observed) -> str:
    """A node that may run a service, each time the same of the same nodes."""
    constraints = options_of(group.first).constraints
    usable = [
        node.id
        for node in observed.nodes.values()
        if node.ready and node.available and all(fits(node, each) for each in constraints)
    ]
    candidates = usable or [observed.self_node]
    return max(candidates, key=lambda node: sha256(f"{group.name}\0{node}".encode()).digest())


def fits(node: Node, constraint: str) -> bool:
    """Whether a node meets a constraint; one that only its engine can answer is taken to be met. Pure."""
    key, sign, value = re.split(r"\s*([!=]=)\s*", constraint, maxsplit=1)
    known = {"node.hostname": node.name, "node.id": node.id,
             "node.role": "manager" if node.manager else "worker"}  # fmt: skip
    if key.startswith("node.labels."):
        known[key] = node.labels.get(key.removeprefix("node.labels."), "")
    return key not in known or (known[key].lower() == value.lower()) == (sign == "==")


def _notes(groups: Sequence[Group], observed: Observed) -> Iterator[str]:
    """What a person should know before: bound machines whose node cannot run them."""
    for name, node_id in homes(groups, observed).items():
        node = observed.nodes.get(node_id)
        if node is None:
            yield f"{name} is bound to the node {node_id}, which has left the Swarm: its volumes are there"
        elif not node.ready or not node.available:
            why = "is down" if not node.ready else f"is set to {node.availability}"
            yield f"{name} is bound to the node {node.name}, which {why}: it starts when that is back"


def _builds(
    environment: Environment, rendering: Rendering, observed: Observed, *, rebuild: bool
) -> Iterator[PlannedBuild]:
    """The images to build; of machines that share one, the first says why."""
    planned: set[str] = set()
    machines = {machine.name: machine for machine in environment.machines}
    for name, image in image_names(environment, rendering.recipes).items():
        if image in planned or (not rebuild and image in observed.images):
            continue
        planned.add(image)
        former = causes.of_the_image(observed.aspects.get(name))
        now = causes.of_the_image(causes.aspects(machines[name])) or {}
        where = "it is not in the registry" if observed.registry else "it is not on this host"
        yield PlannedBuild(image=image, cause=REBUILD if rebuild else causes.cause(former, now, where))
