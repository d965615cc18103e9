"""Whether git tracks a file, read from git's index: git itself would run what a repository configures."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from provision.files import read_regular
from provision.spec.paths import real_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# https://git-scm.com/docs/index-format
LARGEST = 64 * 1024 * 1024  # an index of half a million files
_HEADER = struct.Struct(">4sII")
_FIXED = 40  # bytes of an entry before its object's hash: times, device, mode, owner, size
_EXTENDED = 0x4000
_HASHES = {"sha1": 20, "sha256": 32}


def is_tracked(file: Path, project: Path) -> bool:
    """Whether the repository of a project folder holds a file; False where there is none to read."""
    try:
        folder = _git_folder(project)
        wanted = (real_path(file.parent) / file.name).relative_to(project).as_posix().encode()
        index = _read(folder / "index")
        return any(name == wanted for name in _names(index, _hash_size(folder)))
    except (OSError, ValueError, struct.error, IndexError):
        return False


def _git_folder(project: Path) -> Path:
    """`.git`, or where that file of a worktree or submodule leads."""
    git = project / ".git"
    if git.is_dir():
        return git
    return project / _read(git).decode().removeprefix("gitdir:").strip()


def _hash_size(folder: Path) -> int:
    """The bytes of a hash in this repository."""
    common = folder / "commondir"
    home = folder / _read(common).decode().strip() if common.is_file() else folder
    configuration = _read(home / "config").decode("utf-8", "replace").lower()
    return _HASHES["sha256" if "objectformat = sha256" in configuration else "sha1"]


def _read(file: Path) -> bytes:
    """A file of git's; a machine with the workspace may have put a FIFO or a device there."""
    return read_regular(file, largest=LARGEST)[0]


def _names(index: bytes, hash_size: int) -> Iterator[bytes]:
    """The paths in an index of version 2, 3 or 4."""
    signature, version, count = _HEADER.unpack_from(index)
    if signature != b"DIRC" or version not in (2, 3, 4):
        raise ValueError(f"an index of version {version}")
    at, name = _HEADER.size, b""
    for _ in range(count):
        begin = at
        at += _FIXED + hash_size
        (flags,) = struct.unpack_from(">H", index, at)
        at += 4 if version > 2 and flags & _EXTENDED else 2
        if version == 4:  # the name before it, some bytes cut off at its end, and more
            cut, at = _number(index, at)
            end = index.index(b"\0", at)
            name = name[: len(name) - cut] + index[at:end]
            at = end + 1
        else:
            end = index.index(b"\0", at)
            name = index[at:end]
            at = begin + (end - begin + 8) // 8 * 8
        yield name


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, as offsets of packs are written, and where it ends."""
    byte = data[at]
    value = byte & 127
    while byte & 128:
        at += 1
        byte = data[at]
        value = ((value + 1) << 7) | (byte & 127)
    return value, at + 1
