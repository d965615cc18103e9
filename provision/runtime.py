"""What exists only while the host runs: sockets, locks, secrets. Private, and always in the same place.

A machine that was started in one session is entered from another, so the place does not
follow from XDG_RUNTIME_DIR or TMPDIR, which differ between sessions, under sudo and in cron.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from provision.errors import HostLacks

TEMPORARY = "provision-"  # what the name of a build's own folder begins with
SOCKETS = Path("/tmp")  # noqa: S108 - our folder in it is made private, and looked at; a short path
MEMORY = Path("/dev/shm")  # noqa: S108 - likewise


def sockets() -> Path:
    """The folder of this user's sockets and locks: a short path, because a socket's is limited to 108 bytes.

    It is not in /dev/shm, which systemd-logind empties when a user has logged out.

    Raises:
        HostLacks: somebody else has a folder of this name.
    """
    return private(SOCKETS / _own())


def memory() -> Path:
    """The folder of this user in the host's memory, where there is one; nothing of it is on a disk.

    Raises:
        HostLacks: somebody else has a folder of this name.
    """
    return private(MEMORY / _own()) if MEMORY.is_dir() else sockets()


def private(folder: Path) -> Path:
    """Create a folder that nobody else can enter, unless it exists.

    Raises:
        HostLacks: it is another user's, a link, or open to others.
    """
    try:
        status = folder.lstat()
    except FileNotFoundError:
        with suppress(FileExistsError):  # another command was first
            folder.mkdir(mode=0o700)
        status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise HostLacks(
            f"{folder} is not private to this user, so provision does not use it",
            hint=f"check it with `ls -ld {folder}`, remove it, then try again",
        )
    return folder


def _own() -> str:
    return f"provision-{os.getuid()}"
