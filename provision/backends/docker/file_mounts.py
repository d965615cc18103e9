"""Single files that a container mounts and that the host has replaced since.

A mount keeps the file that was there at the start. An editor that saves by rename, `git checkout`
and the like put another in its place, which the container sees once it starts again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.docker_client import commands
from provision.hints import command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.model import Machine


def notes(machine: Machine) -> Sequence[str]:
    """What a person should know of such mounts before the machine is made."""
    return [
        f"{machine.name} mounts the file {mount.source.name}: once an editor has replaced it, the machine has"
        f" the old one until the next {command('up')}, which restarts it; mount its folder to see each change"
        for mount in machine.mounts
        if mount.source.is_file()
    ]


def replaced(container: str, machine: Machine) -> Sequence[str]:
    """The paths where a running container still has a file that was replaced on the host."""
    files = {mount.path: mount.source.name for mount in machine.mounts if mount.source.is_file()}
    if not files:
        return ()
    mountinfo = commands.execute(container, ["cat", "/proc/self/mountinfo"]).stdout
    return replaced_in(mountinfo, files)


def replaced_in(mountinfo: str, files: Mapping[str, str]) -> Sequence[str]:
    """Of mounted files, by their path inside with their name on the host, those of another name now.

    The kernel follows a file that is renamed, and marks one that is removed.
    """
    replaced_paths = []
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        path = _plain(fields[4]) if len(fields) > 4 else ""
        if path in files and _plain(fields[3]).rpartition("/")[2] != files[path]:
            replaced_paths.append(path)
    return replaced_paths


def _plain(escaped: str) -> str:
    """A field of mountinfo, in which four characters stand by their number."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), escaped)
