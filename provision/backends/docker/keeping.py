"""What the engine keeps of environments: what they take, and images for their next start."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from provision.backends.base import Cached, EnvironmentUsage
from provision.backends.container_labels import ID, RECIPE
from provision.backends.docker.images import RECORD, ImagesRecord, remembered_images
from provision.docker_client import commands, queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provision.state import KnownEnvironment, StateDir

DOCKER = "docker"


def environment_usage(state_dirs: Sequence[StateDir]) -> Mapping[str, EnvironmentUsage]:
    """What environments take, by their id: containers, volumes, and images that only they use.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    if not state_dirs:
        return {}
    taken = queries.disk_usage()
    processes = _processes()
    disk = dict.fromkeys((each.id for each in state_dirs), 0)
    for each in state_dirs:
        built = queries.inspect(images=remembered_images(each)).images.values()
        unique = {image.id: taken.images[image.id].size for image in built if image.id in taken.images}
        disk[each.id] = sum(unique.values())
    for labels, size in (*taken.containers, *taken.volumes):
        if (identity := labels.get(ID)) in disk:
            disk[identity] += size
    return {
        name: EnvironmentUsage(processes=processes.get(name, ()), disk=size) for name, size in disk.items()
    }


def cached(environments: Sequence[KnownEnvironment], gone: Sequence[KnownEnvironment]) -> tuple[Cached, ...]:
    """The images that provision built, those that lost their name too.

    Args:
        environments: those whose project is there: they need their current images.
        gone: those whose project was removed.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    named = queries.images_with(RECIPE, dangling=False)
    nameless = queries.images_with(RECIPE, dangling=True)
    if not named and not nameless:
        return ()
    taken = queries.disk_usage().images
    needed, used, recorded = _records(environments, gone)
    tags = {name.rpartition(":")[2] for name in recorded}
    found = [
        _cached(image, name, taken, used=used.get(name, image.tagged),
                needed_by=tuple(needed.get(name, ())), recorded=name in recorded)
        for image in named for name in image.tags
    ]  # fmt: skip
    found += [
        _cached(image, image.id, taken, used=image.tagged, recorded=image.labels[RECIPE][:12] in tags)
        for image in nameless
    ]
    return tuple(found)


def _cached(
    image: queries.Image,
    name: str,
    taken: Mapping[str, queries.ImageUsage],
    *,
    used: float,
    recorded: bool,
    needed_by: tuple[str, ...] = (),
) -> Cached:
    usage = taken.get(image.id)
    return Cached(
        kind="image",
        name=name,
        size=usage.size if usage else 0,
        used=used,
        in_use=usage is None or usage.containers,
        needed_by=needed_by,
        recorded=recorded,
    )


def discard(images: Sequence[Cached]) -> None:
    """Remove images; the engine keeps one that a container is of."""
    commands.remove_images([each.name for each in images])


def _records(
    environments: Sequence[KnownEnvironment], gone: Sequence[KnownEnvironment]
) -> tuple[Mapping[str, list[str]], Mapping[str, float], set[str]]:
    """By an image's name: who needs it, and when one last did; and all names that any environment knows."""
    needed: dict[str, list[str]] = {}
    used: dict[str, float] = {}
    names: set[str] = set()
    there = {each.folder for each in environments}
    for each in (*environments, *gone):
        state_dir = each.state_dir(DOCKER)
        record = state_dir.load_sound(RECORD, ImagesRecord)
        if record is None:
            continue
        names |= {*record.names}
        when = 0.0
        with suppress(OSError):
            when = state_dir.path_of(RECORD).stat().st_mtime
        for name in record.names:
            used[name] = max(when, used.get(name, 0.0))
        if each.folder in there:
            for name in record.current or record.names:
                needed.setdefault(name, []).append(state_dir.unique_name)
    return needed, used, names


def _processes() -> Mapping[str, tuple[int, ...]]:
    """The processes of the running containers that this host sees, by their environment's id."""
    import psutil

    found: dict[str, list[int]] = {}
    for identity, number in queries.init_processes(ID):
        with suppress(psutil.Error):
            found.setdefault(identity, []).extend(_tree(number))
    return {identity: tuple(numbers) for identity, numbers in found.items()}


def _tree(number: int) -> Iterator[int]:
    import psutil

    init = psutil.Process(number)
    yield number
    yield from (child.pid for child in init.children(recursive=True))
