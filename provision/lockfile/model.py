"""The nouns of locks; standard library only."""

from __future__ import annotations

import hashlib
from dataclasses import field
from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """The kernel of virtual machines: its release, as `uname -r`, and its build, as `uname -v`."""

    release: str
    build: str


@dataclass(frozen=True, kw_only=True)
class BaseLock:
    """A base on one architecture, and every package of the machines that are made of it.

    Args:
        image: the image's name.
        digest: of the image that was pulled (`sha256:…`); empty where it was made.
        mirror: what it was made from; empty where it was pulled.
        made: the date of the archive that it was made from (`20261101T000000Z`).
        root: the hash of the root file system that was made (`sha256:…`).
        date: of the archive as the other packages were taken from it.
        kernels: of machines that boot their own, by form.
        packages: name → version; version → machines where machines have different ones.
    """

    image: str
    digest: str = ""
    mirror: str = ""
    made: str = ""
    root: str = ""
    date: str = ""
    kernels: Mapping[str, Kernel] = field(default_factory=dict)
    packages: Mapping[str, str | Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def versions(self, machine: str) -> Mapping[str, str]:
        """The version of each package for one machine; for one that is not here, those of all."""
        found = {}
        for name, version in self.packages.items():
            if isinstance(version, str):
                found[name] = version
            elif own := [each for each, machines in version.items() if machine in machines]:
                found[name] = own[0]
        return found


@dataclass(frozen=True, kw_only=True)
class MachineLock:
    """What is locked of a machine on one base.

    Args:
        asks: the packages that it asks for, sorted.
        repositories: where else they come from, sorted.
        installed: architecture → form → the hash of all that is installed there.
    """

    asks: tuple[str, ...]
    repositories: tuple[str, ...] = ()
    installed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A whole lock.

    Args:
        tool: the version of provision that wrote it.
        machines: machine → base → what is locked of it; equal machines are one.
        bases: base → architecture → what is locked of it.
    """

    tool: str
    machines: Mapping[str, Mapping[str, MachineLock]]
    bases: Mapping[str, Mapping[str, BaseLock]]

    @property
    def spec(self) -> str:
        """The hash of what the spec asks for, as far as it is locked."""
        lines = [
            "\0".join((machine, base, *found.asks, "", *found.repositories))
            for machine, bases in sorted(self.machines.items())
            for base, found in sorted(bases.items())
        ]
        return _sha256("\n".join(lines))


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What a running machine told: its packages, and its kernel where that is its own."""

    architecture: str
    packages: Mapping[str, str]
    kernel: Kernel | None = None


def fingerprint(packages: Mapping[str, str]) -> str:
    """A hash of packages and their versions, whatever their order."""
    return _sha256("".join(f"{name}={version}\n" for name, version in sorted(packages.items())))


def _sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
