"""Where a copy begins and lands: the words of the command line, by the rules of `docker cp`; all pure."""

from __future__ import annotations

import os
import posixpath
from typing import Literal

from provision.errors import UsageError
from provision.quick_dataclasses import dataclass

Kind = Literal["folder", "file", "link", "special", "none"]
Landing = Literal["under", "as", "into"]

STREAM = "-"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A path on the command line: inside a machine, outside of it, or a stream.

    `machine` is None outside, and empty for the only machine.
    """

    path: str
    machine: str | None = None

    @property
    def is_stream(self) -> bool:
        """Whether it is stdin or stdout."""
        return self.machine is None and self.path == STREAM

    def __str__(self) -> str:
        return self.path if self.machine is None else f"{self.machine}:{self.path}"


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is copied: `folder` and `name` say where it lies, `called` what it is called where it lands.

    `contents`: only what is in it.
    """

    kind: Kind
    folder: str
    name: str
    called: str
    contents: bool = False


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to copy: as which user, with owners, following the source's link."""

    user: str | None = None
    archive: bool = False
    follow: bool = False


def place_of(word: str) -> Place:
    """A word of the command line as `docker cp` reads it; pure.

    Raises:
        UsageError: it names a machine and no path.
    """
    machine, colon, path = word.partition(":")
    if not colon or word.startswith(("/", ".")):
        if not word:
            raise UsageError("a path is empty")
        return Place(path=word)
    if not path:
        raise UsageError(f"{word} names no path", hint=f"{word}/ is the machine's root folder")
    return Place(machine=machine, path=path)


def landing(source: Kind, there: Kind, *, contents: bool, slash: bool) -> Landing | str:
    """Where a source lands, by the table of `docker cp`; pure.

    Args:
        source: what is copied.
        there: what is at the destination; a link there counts as what it leads to.
        contents: the source ends with `/.`.
        slash: the destination ends with `/`.

    Returns:
        `under` the destination with its own name, `as` the destination itself, its contents
        `into` the destination; or why it cannot be.
    """
    if there == "special":
        return "it is a device, a pipe or a socket"
    if source == "folder":
        if there == "file":
            return "it is a file, and a folder cannot replace it"
        if there == "none":
            return "as"
        return "into" if contents else "under"
    if there == "folder":
        return "under"
    if slash:
        return "there is no such folder" if there == "none" else "it is a file, not a folder"
    return "as"


def destination_of(
    source: Source, there: Kind, resolved: str, *, slash: bool, shown: str
) -> tuple[str, str | None]:
    """The folder to unpack in, and what the source is called there; None: only its contents are unpacked."""
    lands = landing(source.kind, there, contents=source.contents, slash=slash)
    if lands == "under":
        return resolved, source.called
    if lands == "into":
        return resolved, None
    if lands == "as":
        return os.path.split(resolved)
    raise UsageError(f"cannot copy to {shown}: {lands}")


def refuse_clash(source: Source, there: Kind, path: str) -> None:
    """A folder is not put in the place of a file, nor a file in that of a folder."""
    if there != "none" and (source.kind == "folder") != (there == "folder"):
        what, why = ("a folder", "a file") if source.kind == "folder" else ("a file", "a folder")
        raise UsageError(f"cannot copy {what} to {path}: it is {why}")


def read_inside(path: str) -> tuple[str, bool, bool]:
    """The whole path, whether it must be a folder, and whether only its contents are meant."""
    last = posixpath.basename(path.rstrip("/"))
    contents = last == "."
    whole = posixpath.normpath("/" + path.lstrip("/"))
    return whole, path.endswith("/") or contents, contents
