"""Reads host files that a spec names: only regular files, up to a size limit."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024**2


_noted: ContextVar[set[Path] | None] = ContextVar("noted", default=None)


@contextmanager
def noting() -> Iterator[set[Path]]:
    """A set that gets every file and folder that is read within: what a spec consists of."""
    paths: set[Path] = set()
    token = _noted.set(paths)
    try:
        yield paths
    finally:
        _noted.reset(token)


def note(path: Path) -> None:
    """Add a file or folder to what is read, whether it is there or not."""
    noted = _noted.get()
    if noted is not None:
        noted.add(path.absolute())


class NotReadable(OSError):
    """What stands at a path is no regular file, or too large; `strerror` says so in words."""

    def __init__(self, words: str, path: Path) -> None:
        super().__init__(0, words, str(path))


def read_regular(path: Path, *, largest: int, in_place: bool = False) -> tuple[bytes, os.stat_result]:
    """The bytes of a regular file and what the system says of it.

    Args:
        path: the file.
        largest: the bytes that it may have.
        in_place: follow no link in the path: somebody may have put one there since the path was read.

    Raises:
        OSError: it cannot be read; NotReadable where it is no file, or too large.
    """
    note(path)
    # A device may act on being opened, a FIFO waits for a writer.
    _refuse_other(path.lstat() if in_place else path.stat(), path)
    descriptor = (
        open_in_place(path) if in_place else os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    )
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _refuse_other(status, path)  # what it is now
        content = file.read(largest + 1)
    if len(content) > largest:
        size = max(status.st_size, len(content)) / MIB
        raise NotReadable(f"it has {size:.1f} MiB; it may have {largest / MIB:g} MiB", path)
    return content, status


def open_in_place(path: Path) -> int:
    """A file descriptor of a path in which no link is followed, from the root on.

    Raises:
        OSError: it is not there, may not be read, or a part of it is a link.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    parts = path.parts
    folder = os.open(parts[0], flags | os.O_DIRECTORY)
    try:
        for part in parts[1:-1]:
            below = os.open(part, flags | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = below
        # One that nobody writes to must not keep us: a FIFO.
        return os.open(parts[-1], flags | os.O_NONBLOCK, dir_fd=folder) if len(parts) > 1 else os.dup(folder)
    finally:
        os.close(folder)


def why(error: OSError) -> str:
    """What an OSError says, without its number."""
    return str(error.strerror) if isinstance(error, NotReadable) else os.strerror(error.errno or 0)


def _refuse_other(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotReadable(f"it is {_kind(status.st_mode)}, not a file", path)


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"))
    return next((words for check, words in kinds if check(mode)), "a device")
