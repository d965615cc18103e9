"""What a Swarm's managers, its registry and the host have of an environment now: read, never changed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provision.backends import causes
from provision.backends.container_image import image_names
from provision.backends.container_labels import MACHINES, STACK_ID
from provision.backends.swarm import secrets
from provision.backends.swarm.options import RECORD, SwarmRecord, registry_of
from provision.backends.swarm.render import stack_name
from provision.docker_client import queries, swarm
from provision.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provision.docker_client.swarm import Membership, Node, Service, Task
    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.state import StateDir

INIT = "docker swarm init"
ELECTION = 30.0  # seconds; managers that see each other again take about ten
BETWEEN = 1.0


@dataclass(frozen=True, kw_only=True)
class Observed:
    """An environment in a Swarm as it is.

    Args:
        self_node: the id of the node whose engine was asked.
        nodes: all members, by id.
        services: the environment's own, by their full names.
        strangers: what is not its own, and has a name that it needs, in words.
        tasks: of its services, the newest first.
        secrets: the full names of its secrets that are there.
        wanted_secrets: how each secret is called with the host's value, by its name in the spec.
        images: of the images that it needs, those that the nodes can get.
        aspects: what the last `up` noted of each machine.
        homes: the node that keeps the volumes or folders of each service, by its name in the stack.
        registry: where the nodes pull images from; empty where nobody named one.
    """

    self_node: str
    nodes: Mapping[str, Node]
    services: Mapping[str, Service]
    strangers: tuple[str, ...]
    tasks: tuple[Task, ...]
    secrets: frozenset[str]
    wanted_secrets: Mapping[str, str]
    images: frozenset[str]
    aspects: Mapping[str, Mapping[str, str]]
    homes: Mapping[str, str] = field(default_factory=dict)
    registry: str = ""


def require_manager() -> Membership:
    """What the engine is in a Swarm, if it manages one; while the managers elect a leader, wait for it.

    Raises:
        HostLacks: it does not, it does not answer, or there is no leader after ELECTION.
    """
    deadline = time.monotonic() + ELECTION
    while (found := swarm.membership()).active and found.error and time.monotonic() < deadline:
        time.sleep(BETWEEN)
    if found.manager and not found.error:
        return found
    if found.active and found.error:
        raise HostLacks(
            "the Swarm has no leader: most of its managers do not answer",
            evidence=[found.error],
            hint="bring managers back; if they are lost: docker swarm init --force-new-cluster",
        )
    what = "is a worker of its Swarm, not a manager" if found.active else "is not part of a Swarm"
    raise HostLacks(
        f"the Docker engine {what}",
        evidence=[found.error] if found.error else [],
        hint="use a manager's engine (DOCKER_HOST, or a docker context)"
        + ("" if found.active else f", or make this one a Swarm: {INIT}"),
    )


def observe(environment: Environment, state_dir: StateDir, rendering: Rendering) -> Observed:
    """Read what there is of the environment.

    Raises:
        HostLacks: there is no engine, it does not answer, or manages no Swarm.
        SpecError: the host lacks a secret.
    """
    member = require_manager()
    own = services_of(state_dir)
    record = state_dir.load(RECORD, SwarmRecord)  # it names the nodes that hold volumes
    registry = registry_of(environment)
    return Observed(
        self_node=member.node,
        nodes={node.id: node for node in swarm.nodes()},
        services=own,
        strangers=tuple(_strangers(environment, own)),
        tasks=swarm.tasks(own),
        secrets=frozenset(swarm.secrets(f"{STACK_ID}={environment.id}")),
        wanted_secrets=secrets.wanted(environment),
        images=frozenset(_there(image_names(environment, rendering.recipes).values(), registry)),
        aspects=causes.noted_aspects(state_dir),
        homes=record.homes if record else {},
        registry=registry,
    )


def services_of(state_dir: StateDir) -> Mapping[str, Service]:
    """The environment's services, by their full names."""
    found = swarm.services(f"{STACK_ID}={state_dir.id}")
    return {each.name: each for each in found if MACHINES in each.labels}


def in_registry(image: str, registry: str) -> str:
    """What the nodes call an image."""
    return f"{registry}/{image}" if registry else image


def _there(images: Iterable[str], registry: str) -> Iterable[str]:
    """Which images the nodes can get: from the registry, or without one from this very engine."""
    named = tuple(dict.fromkeys(images))
    if registry:
        return (image for image in named if swarm.in_registry(in_registry(image, registry)))
    return queries.inspect(images=named).images


def _strangers(environment: Environment, own: Mapping[str, Service]) -> Iterable[str]:
    for service in swarm.services(f"{swarm.NAMESPACE}={stack_name(environment)}"):
        if service.name not in own:
            yield f"the service {service.name}"
    network = f"{stack_name(environment)}_default"
    for name, labels in queries.inspect(networks=[network]).networks.items():
        if labels.get(STACK_ID) != environment.id:
            yield f"the network {name}"
