"""Files, folders and links, out of what GNU's or busybox' tools tell."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

from provision.inventory.model import Fact
from provision.inventory.sections import lines, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KINDS = {"f": "file", "d": "folder", "l": "link", "s": "socket", "p": "pipe", "c": "device", "b": "device"}
_TYPES = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFSOCK: "s",
    stat.S_IFIFO: "p",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
}
HASH = 64  # digits
JOBS = ("/var/spool/cron", "/var/spool/at")
_ATTRIBUTES = re.compile(rb"([0-9a-f]+) (\S+:\S+) (\d+) ")


def read_files(sections: Mapping[str, bytes]) -> Iterator[Fact]:
    """A fact for each path; scheduled jobs are a section of their own."""
    if "attributes" in sections:
        entries = list(_busybox(sections["files"], sections["attributes"]))
    else:
        entries = list(_gnu(sections["files"]))
    attributes_of = dict(entries)
    files = [path for path, attributes in entries if attributes["kind"] == "file"]
    for path, content in dict(_hashes(sections["hashes"], files)).items():
        attributes_of[path]["content"] = f"{attributes_of[path].pop('size')} bytes, sha256 {content}"
    for path, capabilities in _capabilities(sections.get("capabilities", b"")):
        if path in attributes_of:
            attributes_of[path]["capabilities"] = capabilities
    owners: dict[str, set[str]] = {}
    for path, package in _owners(sections):
        if path in attributes_of:
            owners.setdefault(path, set()).add(package)
    for path, packages in owners.items():
        attributes_of[path]["packages"] = " ".join(sorted(packages))
    for path, attributes in attributes_of.items():
        yield Fact(section="jobs" if path.startswith(JOBS) else "files", subject=path, attributes=attributes)


def _entry(kind: str, mode: int, owner: str, size: str, target: str) -> dict[str, str]:
    attributes = {"kind": KINDS.get(kind, kind), "owner": owner}
    if kind == "l":
        attributes["target"] = target
    else:
        attributes["mode"] = f"{mode:04o}"
    if kind == "f":
        attributes["size"] = size
    return attributes


def _gnu(raw: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    words = text(raw).split("\0")
    for at in range(0, len(words) - 5, 6):
        kind, mode, owner, size, target, path = words[at : at + 6]
        yield path, _entry(kind, int(mode, 8), owner, size, target)


def _busybox(names: bytes, attributes: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    """By the names, which come in the same order; what was gone meanwhile is not told."""
    position = 0
    for path in filter(None, names.split(b"\0")):
        match = _ATTRIBUTES.match(attributes, position)
        if match is None:
            break
        mode, size = int(match[1], 16), int(match[3])
        link = stat.S_ISLNK(mode)
        named = b"'%b' -> '" % path if link else b"%b\n" % path
        if not attributes.startswith(named, match.end()):
            continue
        position = match.end() + len(named)
        target = attributes[position : position + size] if link else b""  # as long as the link is large
        position += len(target) + 2 if link else 0
        kind = _TYPES.get(stat.S_IFMT(mode), "?")
        yield text(path), _entry(kind, stat.S_IMODE(mode), text(match[2]), str(size), text(target))


def _hashes(raw: bytes, paths: list[str]) -> Iterator[tuple[str, str]]:
    """The hash of each file; between NULs, else by the names, which come in the same order."""
    if b"\0" in raw:
        known = frozenset(paths)
        for entry in raw.split(b"\0"):
            digest, _, name = text(entry).partition("  ")
            if name in known:
                yield name, digest
        return
    position = 0
    for path in paths:
        ending = b"  %b\n" % path.encode("utf-8", "surrogateescape")
        if raw.startswith(ending, position + HASH):
            yield path, text(raw[position : position + HASH])
            position += HASH + len(ending)


def _capabilities(raw: bytes) -> Iterator[tuple[str, str]]:
    for line in lines(raw):
        path, _, capabilities = line.rpartition(" ")
        yield path.removesuffix(" ="), capabilities  # libcap before 2.41 put a sign between them


def _owners(sections: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Which package brought a path."""
    for line in lines(sections.get("dpkg-files", b"")):
        listing, _, path = line.partition(":/")
        path = path if path.startswith("/") else f"/{path}"
        yield path, listing.rpartition("/")[2].removesuffix(".list").partition(":")[0]
    for line in lines(sections.get("rpm-files", b"")):
        package, _, path = line.partition("\t")
        yield path, package
    package = folder = ""
    for line in lines(sections.get("apk", b"")):
        letter, _, value = line.partition(":")
        if letter == "P":
            package = value
        elif letter == "F":
            folder = value
        elif letter == "R":
            yield f"/{folder}/{value}", package
