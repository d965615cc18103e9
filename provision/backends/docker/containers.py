"""A container that is there: whose it is, how it does, the way in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provision.backends.docker import engine
from provision.errors import EnvironmentFailed
from provision.target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.backends.docker.engine import Container
    from provision.model import MachineState
    from provision.state import StateDir

SUPERVISOR = "/usr/lib/provision/supervisord.conf"
MACHINE = "provision.machine"  # the label that says which machine a container is


def of_environment(name: str, state_dir: StateDir) -> tuple[Container, ...]:
    """Those of its machines; what else its compose.override.yaml brings is not ours.

    Raises:
        EnvironmentFailed: they were started from another folder.
    """
    containers = engine.project(name)
    for container in containers:
        refuse_stranger(container, name, state_dir)
    return tuple(each for each in containers if MACHINE in each.labels)


def refuse_stranger(container: Container, name: str, state_dir: StateDir) -> None:
    """An environment of the same name from another folder is not ours to touch.

    Where that folder is gone, nobody else can take it down: then it is ours.
    """
    folder = Path(container.folder)
    if folder != state_dir.rendering and folder.exists():
        raise EnvironmentFailed(
            f"an environment {name} is already up in docker, from another folder",
            evidence=[f"{container.name} was started from {folder}"],
            hint=f"give this one another name with --name, or take the other down:"
            f" docker compose --project-name {name} down",
        )


def state(found: Container | None) -> MachineState:
    """How a machine does, by its container alone."""
    if found is None:
        return "absent"
    if found.paused:
        return "paused"
    if found.restarting or (found.running and found.health == "unhealthy"):
        return "unhealthy"
    return "running" if found.running else "stopped"


def enter(container: Container) -> Target:
    """The machine as the user, and in the folder, that its labels say."""

    def words_to(words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
        flags = ["--interactive", *(["--tty"] if terminal else [])]
        identity = ["--user", user, "--env", f"USER={user}", "--env", f"LOGNAME={user}"]
        return ["docker", "exec", *flags, *identity, "--workdir", workdir, container.name, *words]

    return Target(
        container.labels[MACHINE],
        words_to,
        user=container.labels["provision.user"],
        workdir=container.labels["provision.workdir"],
        ports=container.ports,
    )
