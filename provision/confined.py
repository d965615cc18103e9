"""Writes, reads and removes files below one folder, without following a link out of it."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_FOLDER = (errno.ENOTDIR, errno.ELOOP)  # what stands there is a file, or a link


def is_confined(path: str) -> bool:
    """Whether a relative path stays below the folder that it is relative to."""
    words = path.split("/")
    return "\0" not in path and not any(word in ("", ".", "..") for word in words)


class ConfinedFolder:
    """An open folder; every path is relative to it.

    Each part of a path is opened from the one before it, so that nobody can put a link in
    between. A link that stands where a file or a folder belongs is removed, not followed.

    Args:
        path: the folder; it is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = -1

    def __enter__(self) -> Self:
        self._path.mkdir(parents=True, exist_ok=True)
        self._folder = os.open(self._path, _FOLDER)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        os.close(self._folder)

    def read(self, path: str) -> bytes | None:
        """The content of a file; None where there is no regular file."""
        try:
            with self._parent_of(path) as (parent, name):
                return _read(name, parent)
        except OSError:
            return None

    def write(self, path: str, content: bytes, mode: int) -> None:
        """Write a file with this content and mode, unless an equal one exists.

        Raises:
            ValueError: the path leads out of the folder.
        """
        with self._parent_of(path, make=True) as (parent, name):
            if _has(name, parent, content, mode):
                return
            beside = f".{name}.new"
            with suppress(FileNotFoundError):
                _remove(beside, parent)
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=parent)
            with os.fdopen(file, "wb") as opened:
                opened.write(content)
                os.fchmod(opened.fileno(), mode)
            if _is_folder(name, parent):
                _remove(name, parent)
            os.replace(beside, name, src_dir_fd=parent, dst_dir_fd=parent)

    def remove(self, path: str) -> None:
        """Remove a file or link, and the folders that it leaves empty; nothing where it is not there."""
        try:
            with self._parent_of(path) as (parent, name):
                os.unlink(name, dir_fd=parent)
        except OSError:  # it is gone, it is a folder, or a part of its path is a link
            return
        for above in PurePosixPath(path).parents:
            if above == PurePosixPath():
                return
            with self._parent_of(str(above)) as (parent, name):
                try:
                    os.rmdir(name, dir_fd=parent)
                except OSError:
                    return

    @contextmanager
    def _parent_of(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The open folder that holds the path's last part, and that part."""
        if not is_confined(path):
            raise ValueError(f"{path} leads outside {self._path}")
        *above, name = path.split("/")
        folder = os.dup(self._folder)
        try:
            for part in above:
                inner = _descend(part, folder, make=make)
                os.close(folder)
                folder = inner
            yield folder, name
        finally:
            os.close(folder)


def _descend(part: str, folder: int, *, make: bool) -> int:
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if not make or error.errno not in (*_NO_FOLDER, errno.ENOENT):
            raise
        if error.errno != errno.ENOENT:
            os.unlink(part, dir_fd=folder)
    os.mkdir(part, 0o755, dir_fd=folder)
    return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)


def _read(name: str, folder: int) -> bytes | None:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(file, "rb") as opened:
        return opened.read() if stat.S_ISREG(os.fstat(opened.fileno()).st_mode) else None


def _has(name: str, folder: int, content: bytes, mode: int) -> bool:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        alone = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        same = status.st_size == len(content) and stat.S_IMODE(status.st_mode) == mode
        return alone and same and _read(name, folder) == content
    except OSError:
        return False


def _is_folder(name: str, folder: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _remove(name: str, folder: int) -> None:
    if _is_folder(name, folder):
        from shutil import rmtree

        rmtree(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)
