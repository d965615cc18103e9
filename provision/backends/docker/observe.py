"""What the engine and the host have of an environment now: read, never changed, nothing decided."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from provision.backends import causes, in_place
from provision.backends.container_image import image_names
from provision.backends.container_labels import ID, MACHINE, RENDERING
from provision.backends.docker import file_mounts, secrets
from provision.backends.docker.containers import of_environment
from provision.backends.docker.ownership import COMPOSE_PROJECT
from provision.backends.docker.render import container_name, volume_names
from provision.backends.ports import notes_on_ports
from provision.docker_client import queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.in_place import MachineParts
    from provision.docker_client.queries import Container, Objects
    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.state import StateDir


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What matters only where something changes, and takes longer to ask.

    `there` are the machines that have a container, those no longer in the spec too;
    `namesakes` are the containers of the Compose project with the environment's name.
    """

    there: tuple[str, ...]
    namesakes: tuple[Container, ...]
    volumes: tuple[str, ...]
    notes_on_ports: tuple[str, ...]
    notes_on_files: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Observed:
    """An environment as it is.

    `containers`, `stale_secrets`, `replaced_files`, `aspects` and `parts` go by a machine's name;
    `seen` is all that the engine has under the names that the environment uses.
    """

    seen: Objects
    containers: Mapping[str, Container]
    stale_secrets: Mapping[str, tuple[str, ...]]
    replaced_files: Mapping[str, tuple[str, ...]]
    aspects: Mapping[str, Mapping[str, str]]
    parts: Mapping[str, MachineParts] = field(default_factory=dict)
    surroundings: Surroundings | None = None


def observe(environment: Environment, state_dir: StateDir, rendering: Rendering) -> Observed:
    """Read what the engine has of the environment, without its surroundings.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    names = {machine.name: container_name(environment, machine.name) for machine in environment.machines}
    images = image_names(environment, rendering.recipes)
    volumes = [name for m in environment.machines for name in volume_names(environment, m).values()]
    network = f"{environment.unique_name}_default"
    seen = queries.inspect(
        containers=names.values(), images=images.values(), volumes=volumes, networks=[network]
    )
    containers = {name: seen.containers[full] for name, full in names.items() if full in seen.containers}
    parts = {
        name: noted
        for name, noted in in_place.noted(state_dir).items()
        if name in containers and containers[name].id == noted.instance
    }
    # One of another rendering is replaced, whatever it would answer, unless it can be changed in place.
    answering = [
        machine
        for machine in environment.machines
        if (container := containers.get(machine.name)) is not None
        and container.running
        and (machine.name in parts or container.labels.get(RENDERING) == rendering.digests[machine.name])
    ]
    return Observed(
        seen=seen,
        containers=containers,
        stale_secrets={m.name: tuple(secrets.stale(names[m.name], m)) for m in answering},
        replaced_files={m.name: tuple(file_mounts.replaced(names[m.name], m)) for m in answering},
        aspects=causes.noted_aspects(state_dir),
        parts=parts,
    )


def with_surroundings(observed: Observed, environment: Environment, state_dir: StateDir) -> Observed:
    """The same, and what else a change meets."""
    present = of_environment(state_dir)
    ours = {(port.host, port.protocol) for container in present for port in container.ports}
    return replace(
        observed,
        surroundings=Surroundings(
            there=tuple(container.labels[MACHINE] for container in present),
            # Compose takes whatever carries its project's name for its own.
            namesakes=queries.containers_with(f"{COMPOSE_PROJECT}={environment.unique_name}"),
            volumes=queries.volumes_with(f"{ID}={environment.id}"),
            notes_on_ports=notes_on_ports(environment, state_dir, ours),
            notes_on_files={m.name: tuple(file_mounts.notes(m)) for m in environment.machines},
        ),
    )
