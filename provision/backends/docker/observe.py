"""What the engine and the host have of an environment now: read, never changed, nothing decided."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from provision import guest_paths
from provision.backends import causes, in_place
from provision.backends.container_image import image_names
from provision.backends.container_labels import ID, MACHINE, RENDERING
from provision.backends.docker import copies, file_mounts, secrets
from provision.backends.docker.containers import container_name, held_here, of_environment
from provision.backends.docker.ownership import COMPOSE_PROJECT
from provision.backends.docker.render import volume_names
from provision.backends.ports import notes_on_ports
from provision.docker_client import commands, queries
from provision.quick_dataclasses import dataclass
from provision.target import Unreachable

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
    containers = {
        name: _looked_at(seen.containers[full]) for name, full in names.items() if full in seen.containers
    }
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
        replaced_files={}
        if environment.is_elsewhere  # the container has copies
        else {m.name: tuple(file_mounts.replaced(names[m.name], m)) for m in answering},
        aspects=causes.noted_aspects(state_dir),
        parts=parts,
    )


def _looked_at(container: Container) -> Container:
    """The container with its health as it is now: the engine's word is seconds old, or it never looks.

    Podman has timers of systemd look, so it knows nothing where that does not run.
    """
    if not container.running or container.health not in ("starting", "unhealthy"):
        return container
    try:
        answer = commands.execute(container.name, [guest_paths.HEALTHY], user="root", workdir="/", timeout=60)
    except Unreachable:
        return container
    return replace(container, health="healthy") if answer.code == 0 else container


def with_surroundings(observed: Observed, environment: Environment, state_dir: StateDir) -> Observed:
    """The same, and what else a change meets."""
    present = of_environment(state_dir)
    return replace(
        observed,
        surroundings=Surroundings(
            there=tuple(container.labels[MACHINE] for container in present),
            # Compose takes whatever carries its project's name for its own.
            namesakes=queries.containers_with(f"{COMPOSE_PROJECT}={environment.unique_name}"),
            volumes=tuple(
                name for name in queries.volumes_with(f"{ID}={environment.id}") if not copies.is_copy(name)
            ),
            notes_on_ports=notes_on_ports(environment, state_dir, held_here(present)),
            notes_on_files={
                m.name: () if environment.is_elsewhere else tuple(file_mounts.notes(m))  # or it has copies
                for m in environment.machines
            },
        ),
    )
