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

LABEL = "provision.snapshot"  # on the copy of a volume, and on what copies: the id of its environment
REPOSITORY = "provision/snapshot"
COPY = "cp -a /from/. /to/"
REPLACE = f"rm -rf /to/* /to/.[!.]* /to/..?*; {COPY}"


def save(state_dir: StateDir, progress: Progress, name: str) -> None:
    """Keep the containers' file systems and volumes, at one moment: they stand still meanwhile."""
    with state_dir.lock(progress):
        snapshots.refuse_taken(state_dir, name)
        snapshots.require_whole(state_dir)
        remove_halves(state_dir)
        containers = _containers(state_dir)
        if not containers:
            raise EnvironmentFailed(
                f"{state_dir.name} is not up in docker: there is nothing to keep",
                hint=f"{command('up')} brings it up",
            )
        prefix = f"{state_dir.unique_name}-{snapshots.identity_of(name)}"
        volumes = {each: f"{each}-{snapshots.identity_of(name)}" for each in _volumes(state_dir)}
        images = {machine: f"{REPOSITORY}:{prefix}-{machine}" for machine in containers}
        with progress.step(f"saving {name}"), _standing_still(list(containers.values())):
            for machine, container in containers.items():
                commands.commit(container.name, images[machine])
            helper = next(iter(containers.values())).image
            for volume, copy in volumes.items():
                commands.create_volume(copy, f"{LABEL}={state_dir.id}")
                commands.copy_volume(volume, copy, helper, REPLACE, _labels(state_dir))
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
        interrupted = snapshots.interrupted_restore(state_dir)
        if interrupted is None or not interrupted[1]:  # else some are not there, and all are made anyway
            snapshots.require_same(record, {n: each.labels[RENDERING] for n, each in containers.items()})
        with progress.step(f"restoring {name}"):
            snapshots.begin_restore(state_dir, record)
            _replace(state_dir, record, machines=True)
            snapshots.end_restore(state_dir)


def finish_restore(state_dir: StateDir, progress: Progress) -> None:
    """Do again what a killed `restore` left half done; whoever calls this holds the lock."""
    found = snapshots.interrupted_restore(state_dir)
    if found is None:
        return
    record, machines = found
    with progress.step(f"restoring {record.name}, which was interrupted"):
        _replace(state_dir, record, machines=machines)
        snapshots.end_restore(state_dir)


def _replace(state_dir: StateDir, record: SnapshotRecord, *, machines: bool) -> None:
    """Have volumes as they were, and containers where `machines` says so."""
    _end_copies(state_dir)
    end(list(_containers(state_dir).values()))
    for volume, copy in record.volumes.items():
        commands.create_volume(volume, f"{ID}={state_dir.id}")
        image = next(iter(record.images.values()))
        commands.copy_volume(copy, volume, image, REPLACE, _labels(state_dir))
    for machine in record.machines if machines else ():
        configuration = cast("Mapping[str, object]", record.configurations[machine])
        _create(f"{state_dir.unique_name}-{machine}-1", configuration, record.images[machine])


def delete(state_dir: StateDir, name: str) -> None:
    """Remove a snapshot's images and copies."""
    record = snapshots.find(state_dir, name)
    snapshots.refuse_restoring(state_dir, name)
    using = [m for m, each in _containers(state_dir).items() if each.image in record.images.values()]
    if using:
        raise UsageError(
            f"the snapshot {name} is in use: {', '.join(using)} was restored from it",
            hint=f"{command('up', '--rebuild')} recreates the machines from their own images",
        )
    snapshots.forget(state_dir, name)  # first: one that lacks something must not be restored
    remove_halves(state_dir)


def remove_halves(state_dir: StateDir) -> None:
    """Remove copies, and what makes them, that no snapshot has: of one that was killed or deleted."""
    _end_copies(state_dir)
    identities = snapshots.identities(state_dir)
    used = {each.image for each in _containers(state_dir).values()}
    prefix = f"{REPOSITORY}:{state_dir.unique_name}-"
    tags = [
        tag for image in queries.images_with(f"{ID}={state_dir.id}", dangling=False) for tag in image.tags
    ]
    halves = [tag for tag in tags if tag.startswith(prefix) and tag not in used]
    images = [tag for tag in halves if tag.removeprefix(prefix).partition("-")[0] not in identities]
    copies = queries.volumes_with(f"{LABEL}={state_dir.id}")
    volumes = [each for each in copies if each.rpartition("-")[2] not in identities]
    if images:
        commands.remove_images(images)
    if volumes:
        commands.remove_volumes(volumes)


def _end_copies(state_dir: StateDir) -> None:
    """End what still copies a volume for a command that was killed."""
    if copying := queries.containers_with(f"{LABEL}={state_dir.id}"):
        commands.remove_containers([each.name for each in copying], volumes=False)


def _labels(state_dir: StateDir) -> tuple[str, ...]:
    """The labels of a container that copies; it is none of the machine whose image it is of."""
    return (f"{LABEL}={state_dir.id}", f"{ID}=", f"{MACHINE}=")


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
    limits = seen["HostConfig"].get("Ulimits") or ()  # Podman says RLIMIT_NOFILE, and takes nofile
    host = {
        **seen["HostConfig"],
        "Ulimits": [{**each, "Name": each["Name"].removeprefix("RLIMIT_").lower()} for each in limits],
    }
    return {
        **seen["Config"],
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": networks},
    }


def _create(name: str, configuration: Mapping[str, object], image: str) -> None:
    """Create a container as another was, of an image."""
    try:
        commands.create_container(name, {**configuration, "Image": image})
    except EnvironmentFailed as error:
        error.hint = f"{command('up')} creates it anew; then restore the snapshot again"
        raise
