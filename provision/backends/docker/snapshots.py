"""Snapshots of containers: their file systems as images, their volumes as copies.

Memory is no part of it: services start anew after a restore. A container is made again with the
configuration and the labels that it had, so that Compose and `plan` find it unchanged.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from provision.backends import snapshots
from provision.backends.container_labels import ID, MACHINE, RENDERING
from provision.backends.docker.containers import of_environment
from provision.backends.docker.removal import end
from provision.backends.snapshots import SnapshotRecord
from provision.docker_client import commands, queries
from provision.errors import EnvironmentFailed, UsageError
from provision.hints import command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provision.docker_client.queries import Container
    from provision.progress import Progress
    from provision.state import StateDir

LABEL = "provision.snapshot"  # on the copy of a volume: the id of its environment
COPY = "cp -a /from/. /to/"
REPLACE = f"rm -rf /to/* /to/.[!.]* /to/..?*; {COPY}"


def save(state_dir: StateDir, progress: Progress, name: str) -> None:
    """Keep the containers' file systems and volumes, at one moment: they stand still meanwhile."""
    with state_dir.lock(progress):
        snapshots.refuse_taken(state_dir, name)
        containers = _containers(state_dir)
        if not containers:
            raise EnvironmentFailed(
                f"{state_dir.name} is not up in docker: there is nothing to keep",
                hint=f"{command('up')} brings it up",
            )
        prefix = f"{state_dir.unique_name}-{snapshots.identity_of(name)}"
        volumes = {each: f"{each}-{snapshots.identity_of(name)}" for each in _volumes(state_dir)}
        images = {machine: f"provision/snapshot:{prefix}-{machine}" for machine in containers}
        with progress.step(f"saving {name}"), _standing_still(list(containers.values())):
            for machine, container in containers.items():
                commands.commit(container.name, images[machine])
            helper = next(iter(containers.values())).image
            for volume, copy in volumes.items():
                commands.create_volume(copy, f"{LABEL}={state_dir.id}")
                commands.copy_volume(volume, copy, helper, REPLACE)
        record = SnapshotRecord(
            name=name,
            taken=snapshots.now(),
            machines={machine: each.labels[RENDERING] for machine, each in containers.items()},
            images=images,
            configurations={machine: _configuration(each) for machine, each in containers.items()},
            volumes=volumes,
        )
        snapshots.keep(state_dir, record)


def restore(state_dir: StateDir, progress: Progress, name: str) -> None:
    """Have containers and volumes as they were; they are stopped then."""
    with state_dir.lock(progress):
        record = snapshots.find(state_dir, name)
        containers = _containers(state_dir)
        snapshots.require_same(record, {n: each.labels[RENDERING] for n, each in containers.items()})
        with progress.step(f"restoring {name}"):
            end(list(containers.values()))
            for volume, copy in record.volumes.items():
                commands.create_volume(volume, f"{ID}={state_dir.id}")
                commands.copy_volume(copy, volume, next(iter(record.images.values())), REPLACE)
            for machine, container in containers.items():
                configuration = cast("Mapping[str, object]", record.configurations[machine])
                _create(container.name, configuration, record.images[machine])


def delete(state_dir: StateDir, name: str) -> None:
    """Remove a snapshot's images and copies."""
    record = snapshots.find(state_dir, name)
    using = [m for m, each in _containers(state_dir).items() if each.image in record.images.values()]
    if using:
        raise UsageError(
            f"the snapshot {name} is in use: {', '.join(using)} was restored from it",
            hint=f"{command('up', '--rebuild')} recreates the machines from their own images",
        )
    if record.images:
        commands.remove_images(tuple(record.images.values()))
    if record.volumes:
        commands.remove_volumes(tuple(record.volumes.values()))
    snapshots.forget(state_dir, name)


def _containers(state_dir: StateDir) -> dict[str, Container]:
    return {each.labels[MACHINE]: each for each in of_environment(state_dir)}


def _volumes(state_dir: StateDir) -> tuple[str, ...]:
    return queries.volumes_with(f"{ID}={state_dir.id}")


@contextmanager
def _standing_still(containers: list[Container]) -> Iterator[None]:
    """Pause what runs, so that all is of one moment."""
    running = [each.name for each in containers if each.running]
    if running:
        commands.pause(running)
    try:
        yield
    finally:
        if running:
            commands.unpause(running)


def _configuration(container: Container) -> Mapping[str, object]:
    """All that a container was created with."""
    seen = queries.configuration(container.name)
    networks = {
        name: {"Aliases": [each for each in network.get("Aliases") or () if each != seen["Id"][:12]]}
        for name, network in seen["NetworkSettings"]["Networks"].items()
    }
    return {
        **seen["Config"],
        "HostConfig": seen["HostConfig"],
        "NetworkingConfig": {"EndpointsConfig": networks},
    }


def _create(name: str, configuration: Mapping[str, object], image: str) -> None:
    """Create a container as another was, of an image."""
    try:
        commands.create_container(name, {**configuration, "Image": image})
    except EnvironmentFailed as error:
        error.hint = f"{command('up')} creates it anew; then restore the snapshot again"
        raise
