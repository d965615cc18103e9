"""The machines of an environment that is up: selecting one by name, and the output of all."""

from __future__ import annotations

import stat
import threading
from typing import TYPE_CHECKING, TypeVar

from provision.errors import EnvironmentFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from provision.model import Machine
    from provision.progress import Progress

Answer = TypeVar("Answer")


def refuse_unknown(machine: str | None, known: Collection[str]) -> None:
    """Raise UsageError if a machine is named that does not exist."""
    if machine is not None and known and machine not in known:
        raise UsageError(
            f"no machine is called {machine}", hint=f"the machines are {', '.join(sorted(known))}"
        )


def side_by_side(ask: Callable[[Machine], Answer], machines: Sequence[Machine]) -> tuple[Answer, ...]:
    """Each machine's answer, asked in parallel, in the order of the machines."""
    if len(machines) == 1:
        return (ask(machines[0]),)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(machines)) as pool:
        return tuple(pool.map(ask, machines))


def warn_of_roots(
    machines: Sequence[Machine], progress: Progress, *, is_rootless: Callable[[], bool] = lambda: False
) -> None:
    """Name the workspaces that their users cannot write to: a live folder of root's stays root's.

    In a rootless engine, root inside is the user who owns the folder on the host, and nobody else is.
    """
    for machine in machines:
        workspace = machine.workspace
        if workspace is None or workspace.user == "root":
            continue
        status = workspace.source.stat()
        if status.st_mode & stat.S_IWOTH:
            continue
        if is_rootless():
            progress.note(
                f"warning: the engine is rootless, so inside, the workspace {workspace.source} does not"
                f" belong to user {workspace.user}, who cannot write to it"
                " (set `workspace: {user: root}`, which is you)"
            )
        elif status.st_uid == 0:
            progress.note(
                f"warning: the workspace {workspace.source} is owned by root;"
                f" user {workspace.user} cannot write to it"
                " (chown it to another user, or set `workspace: {user: root}`)"
            )


def read_all(
    known: Mapping[str, Sequence[str]],
    wanted: Sequence[str],
    each_line: Callable[[str], None],
    read: Callable[[str, Sequence[str], Callable[[str], None]], None],
    *,
    follow: bool,
) -> None:
    """Pass on the lines of every machine, with its name if there are several.

    Args:
        known: the services of each machine.
        wanted: those whose lines are wanted; all where none is named.
        each_line: takes a line.
        read: reads one machine's lines of some services.
        follow: lines are yet to come, of all at the same time.

    Raises:
        EnvironmentFailed: a service is wanted that no machine has.
    """
    services = tuple(dict.fromkeys(service for names in known.values() for service in names))
    for service in wanted:
        if service not in (*services, "setup"):
            raise EnvironmentFailed(
                f"there is no service {service}",
                hint=f"the services are {', '.join(services) or 'none'}; setup has a log too",
            )

    def one(machine: str) -> None:
        own = [service for service in wanted if service in (*known[machine], "setup")]
        if wanted and not own:
            return
        label = f"{machine} | " if len(known) > 1 else ""
        read(machine, own, lambda line: each_line(f"{label}{line}"))

    if not follow or len(known) == 1:
        for machine in known:
            one(machine)
        return
    readers = [threading.Thread(target=one, args=(machine,), daemon=True) for machine in known]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
