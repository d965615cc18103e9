"""This host's side of a copy into a machine: what is there, and a tar stream of it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zlib
from pathlib import Path
from typing import IO

from provision.copying.places import Kind, Source
from provision.copying.unpack import CHUNK
from provision.errors import UsageError

BROKEN = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)  # of what `uncompressed` gives


def look_outside(path: str, *, follow: bool) -> Source:
    """What a path of this host means as the source of a copy.

    Raises:
        UsageError: it is not there, or nothing that can be copied.
    """
    whole = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow the link itself
    last = path.rstrip("/").rpartition("/")[2]
    contents = last == "." or whole == "/"
    slash = path.endswith("/") or contents
    name = Path(whole).name
    try:
        mode = (os.stat if slash or follow or last == ".." else os.lstat)(path).st_mode
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist on this host") from error
    except NotADirectoryError as error:
        raise UsageError(f"{path} leads through a file on this host") from error
    kind = _kind_of(mode)
    if kind == "special":
        raise UsageError(f"{path} is a device, a pipe or a socket: it cannot be copied")
    whole = whole if kind == "link" else os.path.realpath(path)
    folder, own = os.path.split(whole)
    return Source(kind=kind, folder=folder, name=own, called=name, contents=contents)


def pack(source: Source, name: str | None, pipe: IO[bytes]) -> None:
    """Write the source as a tar stream that every `tar` reads, long and odd names too."""
    whole = Path(source.folder, source.name)
    with tarfile.open(
        fileobj=pipe,
        mode="w|",
        bufsize=CHUNK,
        format=tarfile.GNU_FORMAT,
        encoding="utf-8",
        errors="surrogateescape",
    ) as archive:
        for path in [whole] if name is not None else sorted(whole.iterdir()):
            archive.add(path, name or path.name, filter=_without_names)


def _without_names(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Owners by number alone: a name is another's inside."""
    info.uname = info.gname = ""
    return info


def uncompressed(stream: IO[bytes]) -> IO[bytes]:
    """A tar stream without its compression, as `docker cp` takes it."""
    assert isinstance(stream, io.BufferedReader)  # noqa: S101 - stdin is one
    begins = stream.peek(6)
    if begins.startswith(b"\x1f\x8b"):
        return gzip.open(stream)  # type: ignore[return-value]
    if begins.startswith(b"BZh"):
        return bz2.open(stream)
    if begins.startswith(b"\xfd7zXZ\0"):
        return lzma.open(stream)
    return stream


def kind_outside(path: str) -> Kind:
    """What is at a path of this host; a link is not followed."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "none"
    return _kind_of(mode)


def _kind_of(mode: int) -> Kind:
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "link" if stat.S_ISLNK(mode) else "special"
