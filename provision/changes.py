"""What has changed in a folder since it was copied elsewhere: found, and packed to be sent.

What was sent is remembered, so that a later copy sends what has changed since, and removes what is gone
here. What was made in the copy itself stays.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterator, Mapping, Sequence

REMOVE = 'while [ $# -gt 0 ]; do rm -rf -- "./$1"; shift; done'  # for `sh`, in the copy
WORDS = 500  # paths that one command removes: the system limits the length of its words


def scan(folder: Path) -> Mapping[str, str]:
    """What is below a folder: each path with what tells whether it was changed; sockets are left out."""
    return {path: f"{kind} {mode:o} {mtime} {size}" for path, kind, mode, mtime, size in _entries(folder, "")}


def _entries(folder: Path, below: str) -> Iterator[tuple[str, str, int, int, str]]:
    with os.scandir(folder / below) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{below}{entry.name}"
        status = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(status.st_mode)
        if entry.is_symlink():
            yield path, "link", 0, 0, str(Path(entry.path).readlink())
        elif entry.is_dir():
            yield path, "folder", mode, 0, ""
            yield from _entries(folder, f"{path}/")
        elif entry.is_file():
            yield path, "file", mode, status.st_mtime_ns, str(status.st_size)


def difference(former: Mapping[str, str], now: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to send, and what to remove before: what is gone, or no longer of its kind; pure."""
    kind = {path: what.partition(" ")[0] for path, what in now.items()}
    gone = tuple(path for path, what in former.items() if kind.get(path) != what.partition(" ")[0])
    return tuple(path for path, what in now.items() if former.get(path) != what), gone


def pack(
    folder: Path, paths: Sequence[str], stream: IO[bytes], *, owner: tuple[int, int] | None = None
) -> None:
    """Write a folder itself and these paths below it as a tar stream.

    Args:
        folder: what is copied.
        paths: what of it, as `scan` names them; one that is gone meanwhile is left out.
        stream: where to.
        owner: the numbers of user and group that all of it gets; those that it has here unless given.
    """
    import tarfile  # most runs copy nothing

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid, member.gid = owner or (member.uid, member.gid)
        member.uname = member.gname = ""
        return member

    with tarfile.open(fileobj=stream, mode="w|") as tar:
        tar.add(folder, ".", recursive=False, filter=owned)
        for path in paths:
            try:
                tar.add(folder / path, f"./{path}", recursive=False, filter=owned)
            except FileNotFoundError:
                continue  # the next copy removes it


def send(
    folder: Path,
    former: Mapping[str, str] | None,
    *,
    remove: Callable[[Sequence[str]], None],
    receive: Callable[[Callable[[IO[bytes]], None]], None],
    owner: Callable[[], tuple[int, int]] | None = None,
) -> Mapping[str, str] | None:
    """Send what has changed in a folder; what it is now, or None if nothing has changed.

    Args:
        folder: what is copied.
        former: what was sent last, as `scan` returned it; None if that is not known.
        remove: removes these paths, which are few enough for one command, from the copy.
        receive: unpacks what its argument writes, a tar stream, over the copy.
        owner: the numbers of user and group that all of it gets; those that it has here unless given.
    """
    now = scan(folder)
    changed, gone = difference(former or {}, now)
    if former is not None and not changed and not gone:
        return None
    for at in range(0, len(gone), WORDS):
        remove(gone[at : at + WORDS])
    whose = owner() if owner else None
    receive(lambda stream: pack(folder, changed, stream, owner=whose))
    return now
