"""Unpacks a tar stream that a machine sent, below one folder of this host and nowhere else.

The machine isn't trusted. Each part of a path is opened from the one before it, and no link
is followed, so that neither a name nor a link leads anywhere else. Python's own filters do
not fit: they refuse every link to an absolute path, which any root file system is full of.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 1 << 16
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS = 0o777  # a set-user-id bit that a machine sets is worth nothing here
# What tarfile raises for bytes that are no archive: its own errors, and those of what it computes.
_NO_ARCHIVE = (tarfile.TarError, ValueError, OverflowError, EOFError, IndexError, KeyError)

Parts = tuple[str, ...]


def unpack(
    stream: IO[bytes], folder: Path, *, single: str | None = None, made: bool = False, owners: bool = False
) -> tuple[str, ...]:
    """Unpack an archive; return the names of devices, pipes and others that were left out.

    Files and links replace files and links. Links are copied as they are, and never followed.
    A folder that exists keeps its mode.

    Args:
        stream: the archive, not compressed.
        folder: where its members go; it exists.
        single: the archive holds one member and no folder, which gets this name.
        made: the folder is new, and gets the mode that the archive gives it.
        owners: keep the ids of user and group, where this process may set them.

    Raises:
        EnvironmentFailed: a member would lie elsewhere, a folder and a file clash, or the
            stream is no archive. What came before is there.
        OSError: this host cannot write it.
    """
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    unpacking = _Unpacking(root=root, shown=str(folder), owners=owners and os.geteuid() == 0)
    if made:
        unpacking.folders[()] = None
    try:
        for member in _members(stream):
            unpacking.add(member, single)
    finally:
        unpacking.finish()
        os.close(root)
    return tuple(unpacking.left_out)


@dataclass(frozen=True, kw_only=True)
class _Member:
    info: tarfile.TarInfo
    content: IO[bytes] | None


def _members(stream: IO[bytes]) -> Iterator[_Member]:
    try:
        with tarfile.open(
            fileobj=stream, mode="r|", bufsize=CHUNK, encoding="utf-8", errors="surrogateescape"
        ) as archive:
            while (info := archive.next()) is not None:
                yield _Member(info=info, content=archive.extractfile(info) if info.isreg() else None)
                archive.members.clear()  # type: ignore[attr-defined] # or it keeps all that it has read
    except _NO_ARCHIVE as error:
        raise EnvironmentFailed(f"the machine sent no tar archive: {error}") from error


@dataclass(kw_only=True)
class _Unpacking:
    root: int
    shown: str
    owners: bool
    folders: dict[Parts, tarfile.TarInfo | None] = field(default_factory=dict)  # that are new
    files: set[Parts] = field(default_factory=set)  # that are new
    left_out: list[str] = field(default_factory=list)

    def add(self, member: _Member, single: str | None) -> None:
        info = member.info
        parts = _parts(info.name)
        if single is not None:
            if info.isdir() or info.islnk() or self.files:
                raise EnvironmentFailed(
                    "the machine sent something else than the one file that was asked for"
                )
            parts = (single,)
        if info.isdir():
            self._make_folder(parts, info)
        elif not parts:
            raise EnvironmentFailed(f"the machine sent {info.name!r}, which would replace {self.shown}")
        elif member.content is not None:
            self._write(parts, info, member.content)
        elif info.issym():
            self._link(parts, info)
        elif info.islnk():
            self._link_hard(parts, _parts(info.linkname))
        else:
            self.left_out.append(info.name)

    def finish(self) -> None:
        """Give new folders their modes, the inner ones first: it may be one that nobody can write in."""
        for parts, info in sorted(self.folders.items(), key=lambda item: len(item[0]), reverse=True):
            with suppress(OSError, EnvironmentFailed), self._folder(parts) as folder:
                self._finish(folder, info)

    def _make_folder(self, parts: Parts, info: tarfile.TarInfo) -> None:
        if parts:
            with self._folder(parts[:-1]) as above:
                self._make(parts, above)
        with self._folder(parts):
            pass  # it is one
        if parts in self.folders:
            self.folders[parts] = info

    def _make(self, parts: Parts, above: int) -> None:
        with suppress(FileExistsError):
            os.mkdir(parts[-1], 0o700, dir_fd=above)
            self.folders[parts] = None

    def _write(self, parts: Parts, info: tarfile.TarInfo, content: IO[bytes]) -> None:
        with self._cleared(parts) as above:
            file = os.open(parts[-1], _NEW_FILE, 0o600, dir_fd=above)
            with os.fdopen(file, "wb") as opened:
                _write_content(content, opened)
                opened.flush()
                self._finish(opened.fileno(), info)
        self.files.add(parts)

    def _link(self, parts: Parts, info: tarfile.TarInfo) -> None:
        with self._cleared(parts) as above:
            os.symlink(info.linkname, parts[-1], dir_fd=above)
            if self.owners:
                with suppress(OverflowError, ValueError):
                    os.chown(parts[-1], info.uid, info.gid, dir_fd=above, follow_symlinks=False)
        self.files.add(parts)

    def _link_hard(self, parts: Parts, first: Parts) -> None:
        if first not in self.files:
            raise EnvironmentFailed(
                f"the machine sent {'/'.join(parts)!r} as another name"
                f" of {'/'.join(first)!r}, which it had not sent"
            )
        if first == parts:
            return
        with self._folder(first[:-1]) as source, self._cleared(parts) as above:
            os.link(first[-1], parts[-1], src_dir_fd=source, dst_dir_fd=above, follow_symlinks=False)
        self.files.add(parts)

    @contextmanager
    def _cleared(self, parts: Parts) -> Iterator[int]:
        """The open folder of what comes; a file or link of its name is removed."""
        with self._folder(parts[:-1]) as above:
            try:
                os.unlink(parts[-1], dir_fd=above)
            except FileNotFoundError:
                pass
            except IsADirectoryError as error:
                raise EnvironmentFailed(
                    f"{self._place(parts)} is a folder on this host; a file cannot replace it"
                ) from error
            yield above

    @contextmanager
    def _folder(self, parts: Parts) -> Iterator[int]:
        """An open folder; those on the way to it that are missing are made."""
        folder = os.dup(self.root)
        try:
            for count in range(1, len(parts) + 1):
                inner = self._descend(parts[:count], folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)

    def _descend(self, parts: Parts, above: int) -> int:
        for _ in range(2):
            try:
                return os.open(parts[-1], _FOLDER, dir_fd=above)
            except FileNotFoundError:
                self._make(parts, above)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                break
        raise EnvironmentFailed(
            f"{self._place(parts)} is no folder on this host; a folder cannot replace it",
            hint="remove it, or copy to another place",
        )

    def _finish(self, opened: int, info: tarfile.TarInfo | None) -> None:
        if info is None:
            os.fchmod(opened, 0o755)  # a folder that the archive only passes through
            return
        with suppress(OverflowError, ValueError):  # an owner or a time that cannot be
            if self.owners:
                os.fchown(opened, info.uid, info.gid)
        os.fchmod(opened, stat.S_IMODE(info.mode) & _PERMISSIONS)
        with suppress(OverflowError, ValueError, OSError):
            os.utime(opened, (info.mtime, info.mtime))

    def _place(self, parts: Parts) -> str:
        return "/".join((self.shown.rstrip("/"), *parts))


def _write_content(content: IO[bytes], opened: IO[bytes]) -> None:
    try:
        shutil.copyfileobj(content, opened, CHUNK)
    except _NO_ARCHIVE as error:
        raise EnvironmentFailed(f"the machine sent no whole tar archive: {error}") from error


def _parts(name: str) -> Parts:
    """The parts of a member's name.

    Raises:
        EnvironmentFailed: it leads out of the archive's own folder.
    """
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise EnvironmentFailed(f"the machine sent {name!r}, which lies outside of what was asked for")
    return parts
