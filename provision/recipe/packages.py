"""What a machine's package manager installs at once, and from which releases."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from provision.bases import catalogue
from provision.quick_dataclasses import dataclass
from provision.recipe.families import FAMILIES, pinned, qualified

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.model import Machine, Package


@dataclass(frozen=True, kw_only=True)
class NamedPackage:
    """A package that the spec names, in parts; what the spec leaves open is empty."""

    name: str
    version: str
    release: str


@dataclass(frozen=True, kw_only=True)
class PackageRequest:
    """What the step of a machine's packages is made of.

    Args:
        packages: the words that ask for them, of the distribution as it is.
        later: those that come from another release, by release.
        asked: what the spec names.
        doubtful: names that apt reads as a pattern or an order, unless a package has that name.
        architectures: of packages that are not the machine's own.
        sources: the line of each release that the base may not know yet.
    """

    packages: tuple[str, ...] = ()
    later: Mapping[str, tuple[str, ...]]
    asked: tuple[NamedPackage, ...] = ()
    doubtful: tuple[NamedPackage, ...] = ()
    architectures: tuple[str, ...] = ()
    sources: Mapping[str, str]

    @property
    def count(self) -> int:
        """How many packages it asks for."""
        return len(self.packages) + sum(map(len, self.later.values()))

    def for_template(self) -> dict[str, object]:
        """The variables of packages-FAMILY.sh.j2."""
        return asdict(self)


def support_of(machine: Machine) -> dict[str, object]:
    """The same for what the recipe itself needs beyond a minimal base."""
    support = FAMILIES[machine.base.family].support
    return PackageRequest(packages=support, later={}, sources={}).for_template()


def packages_of(machine: Machine, runtime_packages: Sequence[str]) -> PackageRequest | None:
    """What the machine's packages are asked for with; None where there are none.

    Args:
        machine: the machine.
        runtime_packages: what the backend itself needs inside.
    """
    family = machine.base.family
    named = {package.name for package in machine.packages}
    words = [pinned(_held(package, machine), family) for package in machine.packages if not package.release]
    later: dict[str, tuple[str, ...]] = {}
    for package in machine.packages:
        if package.release:
            later[package.release] = (*later.get(package.release, ()), pinned(package, family))
    packages = (*words, *(name for name in implied_packages(machine, runtime_packages) if name not in named))
    if not packages and not later:
        return None
    asked = tuple(
        NamedPackage(
            name=qualified(package, family), version=package.version or "", release=package.release or ""
        )
        for package in machine.packages
    )
    return PackageRequest(
        packages=packages,
        later=later,
        asked=asked,
        doubtful=tuple(each for each in asked if each.release or re.search(r"[.]|\+$", each.name)),
        architectures=tuple(
            dict.fromkeys(each.architecture for each in machine.packages if each.architecture)
        ),
        sources={release: line for release in later if (line := _source(machine, release))},
    )


def _held(package: Package, machine: Machine) -> Package:
    """The package in the version of the lock, where no file can tell that to the installer."""
    lock = machine.lock
    if lock is None or package.version is not None or machine.base.family == "apt":
        return package  # apt reads it in its preferences
    version = lock.versions.get(qualified(package, machine.base.family))
    return replace(package, version=version) if version and " " not in version else package


def implied_packages(machine: Machine, runtime_packages: Sequence[str] = ()) -> tuple[str, ...]:
    """The packages that the rest of a spec needs, though it does not name them."""
    implied = [*runtime_packages]
    if any(user.sudo for user in machine.users):
        implied.append("sudo")
    if machine.timezone != "UTC":
        implied.append("tzdata")
    if machine.base.family == "apt" and machine.locale.split(".")[0] not in ("C", "POSIX"):
        implied.append("locales")
    return tuple(dict.fromkeys(implied))


def _source(machine: Machine, release: str) -> str:
    """The line of sources.list for a release of the base's own mirror; empty where a repository has it."""
    base = machine.base
    archive = catalogue.archive(base)
    if archive is None or any(repository.suite == release for repository in machine.repositories):
        return ""
    return archive.source(base, base.mirror or archive.mirror_at(base.snapshot), release).strip()
