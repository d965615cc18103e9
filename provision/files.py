"""Files of the host that somebody named: read only where they are files, and no larger than they may be."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024**2


class NotReadable(OSError):
    """What stands at a path is no regular file, or too large; `strerror` says so in words."""

    def __init__(self, words: str, path: Path) -> None:
        super().__init__(0, words, str(path))


def read_regular(path: Path, *, largest: int) -> tuple[bytes, os.stat_result]:
    """The bytes of a regular file and what the system says of it; links are followed.

    Args:
        path: the file.
        largest: the bytes that it may have.

    Raises:
        OSError: it cannot be read; NotReadable where it is no file, or too large.
    """
    _refuse_other(path.stat(), path)  # a device may act on being opened, a FIFO waits for a writer
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        _refuse_other(found, path)  # what it is now
        content = file.read(largest + 1)
    if len(content) > largest:
        size = max(found.st_size, len(content)) / MIB
        raise NotReadable(f"it has {size:.1f} MiB; it may have {largest / MIB:g} MiB", path)
    return content, found


def why(error: OSError) -> str:
    """What an OSError says, without its number."""
    return str(error.strerror) if isinstance(error, NotReadable) else os.strerror(error.errno or 0)


def _refuse_other(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotReadable(f"it is {_kind(found.st_mode)}, not a file", path)


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"))
    return next((words for check, words in kinds if check(mode)), "a device")
