"""What a machine can change on the host, and what therefore must not be trusted to stay.

Whoever can write a folder can put a link in the place of what lies in it. An engine follows
that link at the next start: so nothing that is mounted lies in such a folder, and a file that
is read there is opened without following one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from provision.errors import EnvironmentFailed
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provision.model import Machine, Origin


_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = _FILE | os.O_DIRECTORY


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
    replaceable = (each for each in live(machines) if not each.read_only and each.source in path.parents)
    return next(replaceable, None)


def make_mount_points(machines: Sequence[Machine]) -> None:
    """Make what is missing in live folders for a volume or mount inside them, for the folder's owner.

    An engine would make it there too, for root.
    """
    for machine in machines:
        sources: dict[str, Path | None] = {each.path: each.source for each in live([machine])}
        sources |= dict.fromkeys(volume.path for volume in machine.volumes)
        inside = [(volume.path, True) for volume in machine.volumes]
        inside += [(mount.path, mount.source.is_dir()) for mount in machine.mounts]
        for path, is_folder in inside:
            above = (str(parent) for parent in PurePosixPath(path).parents)
            outer = next((parent for parent in above if parent in sources), "")
            source = sources.get(outer)
            if source is not None and source.is_dir():
                parts = PurePosixPath(path).relative_to(outer).parts
                with suppress(OSError):  # what is in the way, or may not be written, is the engine's to name
                    _make(source, parts, is_folder=is_folder)


def _make(folder: Path, parts: Sequence[str], *, is_folder: bool) -> None:
    """Make a folder or an empty file below a folder, and what leads to it; no link is followed."""
    at = os.open(folder, _FOLDER)
    owner = os.fstat(at)
    try:
        for number, part in enumerate(parts, 1):
            wanted = is_folder or number < len(parts)
            try:
                inner = os.open(part, _FOLDER if wanted else _FILE, dir_fd=at)
            except FileNotFoundError:
                if wanted:
                    os.mkdir(part, 0o755, dir_fd=at)
                inner = os.open(part, _FOLDER if wanted else _FILE | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=at)
                if os.geteuid() == 0:
                    os.fchown(inner, owner.st_uid, owner.st_gid)
            os.close(at)
            at = inner
    finally:
        os.close(at)


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
                f"{path} was replaced with a link and will not be mounted",
                evidence=[f"it leads to {leads_to}"],
                hint="find out what did that, then remove the link, or name its target in the spec",
            )
