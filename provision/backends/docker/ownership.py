"""Which of an engine's objects belong to an environment: those with its id. Others are never touched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from provision.backends.container_labels import ID, PROJECT, RECIPE
from provision.errors import EnvironmentFailed
from provision.state import person

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provision.docker_client.queries import Container, Objects

COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_FOLDER = "com.docker.compose.project.working_dir"


def owner(address: str) -> str:
    """The label's value for what this user has on the engine: their id, or, on another host, who they are."""
    return person() if address else str(os.getuid())


def refuse_strangers(identity: str, seen: Objects, others: Iterable[Container] = ()) -> None:
    """Raise EnvironmentFailed if an object that belongs to something else is in the way.

    Args:
        identity: the environment's id.
        seen: what the engine has under the names that the environment uses.
        others: containers of a Compose project that is called as the environment's.
    """
    strangers = list(dict.fromkeys(_strangers(identity, seen, others)))
    if strangers:
        raise EnvironmentFailed(
            "a name that this environment needs is taken by something else",
            evidence=strangers,
            hint="remove or rename it if it is yours, or give this environment another name: `--name`",
        )


def _strangers(identity: str, seen: Objects, others: Iterable[Container]) -> Iterator[str]:
    containers = {each.name: each.labels for each in (*seen.containers.values(), *others)}
    kinds = {"container": containers, "volume": seen.volumes, "network": seen.networks}
    for kind, objects in kinds.items():
        for name, labels in objects.items():
            if labels.get(ID) != identity:
                yield f"the {kind} {name}{_whose(labels)}"
    for name, image in seen.images.items():
        if RECIPE not in image.labels:
            yield f"the image {name}, which provision did not build"


def _whose(labels: Mapping[str, str]) -> str:
    folder = labels.get(PROJECT) or labels.get(COMPOSE_FOLDER)
    project = labels.get(COMPOSE_PROJECT)
    return (f" of the Compose project {project}" if project else "") + (f" in {folder}" if folder else "")
