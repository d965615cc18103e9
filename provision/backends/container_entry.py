"""How to run commands in a machine that is a container, on this engine or on another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.container_labels import MACHINE, USER, WORKDIR
from provision.docker_client import commands
from provision.recipe.limits import HARD_FILES, SOFT_FILES
from provision.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.model import PortStatus

# The engine gives a command its own limit of open files, whatever the machine's processes have.
LIMITED = f'ulimit -S -n {SOFT_FILES} 2>/dev/null; ulimit -H -n {HARD_FILES} 2>/dev/null; exec "$@"'


def target_of(
    container: str,
    labels: Mapping[str, str],
    ports: Sequence[PortStatus],
    *,
    machine: str = "",
    host: str = "",
) -> Target:
    """The machine as the user, and in the folder, that its labels say.

    Args:
        container: its name or id.
        labels: those that it has.
        ports: as they are published now.
        machine: its name, where the labels don't tell.
        host: the address of the engine that has it, where that is not the one that `docker` uses.
    """

    def words_to(words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
        return commands.exec_words(
            container,
            ["sh", "-c", LIMITED, "sh", *words],
            user=user,
            variables={"USER": user, "LOGNAME": user},
            workdir=workdir,
            interactive=True,
            terminal=terminal,
            host=host,
        )

    return Target(
        machine or labels[MACHINE], words_to, user=labels[USER], workdir=labels[WORKDIR], ports=ports
    )
