"""What a machine can change on the host, and what must therefore not be trusted to stay.

Whoever can write a folder can put a link in the place of what lies in it. An engine follows
that link at the next start: so nothing that is mounted lies in such a folder, and a file that
is read there is opened without following one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provision.model import Machine, Origin


@dataclass(frozen=True, kw_only=True)
class Live:
    """A folder or file of the host, live in a machine.

    Args:
        machine: whose.
        called: what messages call it.
        source: where it is on the host, without links.
        path: where it is inside.
        read_only: the machine cannot write it.
        origin: where it stands in the spec.
    """

    machine: str
    called: str
    source: Path
    path: str
    read_only: bool
    origin: Origin


def live(machines: Sequence[Machine]) -> Iterator[Live]:
    """What of the host is live in machines."""
    for machine in machines:
        place = machine.workspace
        if place is not None:
            yield Live(machine=machine.name, called="the workspace", source=place.source, path=place.path,
                       read_only=False, origin=place.origin)  # fmt: skip
        for mount in machine.mounts:
            yield Live(machine=machine.name, called=f"the mount {mount.path}", source=mount.source,
                       path=mount.path, read_only=mount.read_only, origin=mount.origin)  # fmt: skip


def replaced_through(path: Path, machines: Sequence[Machine]) -> Live | None:
    """What is live and writable in a machine, by which it can put a link in a path's place."""
    found = (each for each in live(machines) if not each.read_only and each.source in path.parents)
    return next(found, None)


def require_in_place(paths: Sequence[Path]) -> None:
    """Refuse what is not where it was when it was allowed.

    Args:
        paths: had no links when the spec was read.

    Raises:
        EnvironmentFailed: one leads elsewhere now, or is gone.
    """
    for path in paths:
        leads_to = Path(os.path.realpath(path))
        if leads_to != path:
            raise EnvironmentFailed(
                f"{path} was replaced by a link and will not be mounted",
                evidence=[f"it leads to {leads_to}"],
                hint="find out who did that; then remove the link, or name its target in the spec",
            )
