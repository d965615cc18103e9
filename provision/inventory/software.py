"""Packages and accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.inventory.model import Fact
from provision.inventory.sections import lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INSTALLED = "ii"
DEPENDENCY = "as a dependency"


def read_packages(sections: Mapping[str, bytes]) -> Iterator[Fact]:
    """A fact for each package, by its name; with the architecture where it is a foreign one."""
    dpkg = [line.split("\t") for line in lines(sections.get("dpkg", b""))]
    native = next((architecture for name, _, architecture, _ in dpkg if name == "dpkg"), "")
    automatic = set(_automatic(lines(sections.get("apt-marks", b""))))
    for name, version, architecture, status in dpkg:
        subject = name if architecture in (native, "all") else f"{name}:{architecture}"
        attributes = {"version": version, "architecture": architecture}
        if status.strip() != INSTALLED:
            attributes["status"] = status.strip()
        if name in automatic:
            attributes["installed"] = DEPENDENCY
        yield Fact(section="packages", subject=subject, attributes=attributes)
    yield from _several(line.split("\t") for line in lines(sections.get("rpm", b"")))
    yield from _several(_apk(lines(sections.get("apk", b""))))


def _automatic(marks: list[str]) -> Iterator[str]:
    """The packages that apt installed because others need them."""
    package = ""
    for line in marks:
        word, _, value = line.partition(": ")
        if word == "Package":
            package = value
        elif (word, value) == ("Auto-Installed", "1"):
            yield package


def _several(packages: Iterator[list[str]]) -> Iterator[Fact]:
    """Those that may be there in several versions at once, such as a kernel."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, version, architecture in packages:
        found.setdefault(name, []).append((version, architecture))
    for name, those in found.items():
        versions, architectures = (" ".join(sorted(set(words))) for words in zip(*those, strict=True))
        yield Fact(
            section="packages", subject=name, attributes={"version": versions, "architecture": architectures}
        )


def _apk(entries: list[str]) -> Iterator[list[str]]:
    package = ["", "", ""]
    for entry in entries:
        letter, _, value = entry.partition(":")
        if letter == "P":
            package = [value, "", ""]
        elif letter == "V":
            package[1] = value
        elif letter == "A":
            package[2] = value
            yield package


def read_accounts(sections: Mapping[str, bytes]) -> Iterator[Fact]:
    """A fact for each user and each group; a line that is neither is passed over."""
    passwords = dict(line.rsplit(":", 1) for line in lines(sections["passwords"]) if ":" in line)
    for line in lines(sections["passwd"]):
        if line.count(":") < 6:
            continue
        name, _, uid, gid, comment, home, shell = line.split(":", 6)
        attributes = {"uid": uid, "gid": gid, "home": home, "shell": shell}
        if comment:
            attributes["comment"] = comment
        if name in passwords:
            attributes["password"] = passwords[name]
        yield Fact(section="users", subject=name, attributes=attributes)
    for line in lines(sections["group"]):
        if line.count(":") < 3:
            continue
        name, _, gid, members = line.split(":", 3)
        attributes = {"gid": gid}
        if members:
            attributes["members"] = " ".join(sorted(members.split(",")))
        yield Fact(section="groups", subject=name, attributes=attributes)
