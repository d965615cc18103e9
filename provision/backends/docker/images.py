"""Records the images built for an environment, replaced ones too, and removes those nobody needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.container_labels import ID, RECIPE
from provision.backends.docker.containers import of_environment
from provision.docker_client import commands, queries
from provision.quick_dataclasses import dataclass
from provision.state import known_environments, state_folders

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from provision.state import StateDir

RECORD = "images"


@dataclass(frozen=True, kw_only=True)
class ImagesRecord:
    """The images that machines were made of, by name; `current` are those of the last `up`."""

    names: tuple[str, ...]
    current: tuple[str, ...] = ()


def remember_images(state_dir: StateDir, names: Iterable[str]) -> None:
    """Note what the machines are made of now, in addition to what they were made of before."""
    former = state_dir.load(RECORD, ImagesRecord)
    current = tuple(dict.fromkeys(names))
    record = ImagesRecord(
        names=tuple(dict.fromkeys((*(former.names if former else ()), *current))), current=current
    )
    if record != former:
        state_dir.save(RECORD, record)


def remember_another(state_dir: StateDir, name: str) -> None:
    """Note an image beside those of the last `up`."""
    former = state_dir.load(RECORD, ImagesRecord)
    remember_images(state_dir, (*(former.current if former else ()), name))


def remembered_images(state_dir: StateDir) -> tuple[str, ...]:
    """The images that machines are, or were, made of; by the containers alone where the record is damaged."""
    record = state_dir.load_sound(RECORD, ImagesRecord)
    names = [*(record.names if record else ()), *(each.image for each in of_environment(state_dir))]
    return tuple(dict.fromkeys(names))


def remove_images(state_dir: StateDir, names: Iterable[str]) -> tuple[str, ...]:
    """Remove those that provision built and nothing else here needs; those that others need, which stay."""
    known = list(names)
    built = {name for name, image in queries.inspect(images=known).images.items() if RECIPE in image.labels}
    needed = {each.image for each in queries.containers_with(ID)} | _of_others(state_dir)
    if going := sorted(built - needed):
        commands.remove_images(going)
    _remove_untagged({name.rpartition(":")[2] for name in known})
    state_dir.forget(RECORD)
    return tuple(sorted(set(queries.inspect(images=sorted(built)).images)))


def _of_others(state_dir: StateDir) -> set[str]:
    """What other environments of this user note that they need, in every state folder."""
    needed: set[str] = set()
    for known in (each for folder in state_folders() for each in known_environments(folder)):
        if known.id != state_dir.id:
            record = known.state_dir(state_dir.folder.name).load_sound(RECORD, ImagesRecord)
            needed |= set(record.names) if record else set()
    return needed


def _remove_untagged(tags: Collection[str]) -> None:
    """Remove images whose name a new build took, unless a container still uses them."""
    dangling = queries.images_with(RECIPE, dangling=True)
    going = [image.id for image in dangling if image.labels[RECIPE][:12] in tags]
    if going:
        commands.remove_images(going)
