"""The package families: how apt, dnf and apk differ, apart from their scripts.

How each installs packages is `templates/shared/packages-FAMILY.sh.j2`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from provision.model import Family, Package


@dataclass(frozen=True, kw_only=True)
class PackageFamily:
    """What a recipe must know about a family.

    `pin` joins a name and a version, `joint` a name and an architecture; `caches` are the
    folders in which downloads lie; `support` is what the steps and the machine's own scripts
    need beyond a minimal base: it comes first of all, for even a user cannot be made without it.
    """

    pin: str
    joint: str
    caches: tuple[str, ...]
    support: tuple[str, ...] = ()


FAMILIES: dict[Family, PackageFamily] = {
    "apt": PackageFamily(pin="=", joint=":", caches=("/var/cache/apt", "/var/lib/apt/lists")),
    "dnf": PackageFamily(
        pin="-",
        joint=".",
        caches=("/var/cache/dnf", "/var/cache/libdnf5"),
        support=("shadow-utils", "util-linux", "findutils", "glibc-langpack-en"),
    ),
    "apk": PackageFamily(
        pin="=",
        joint=":",
        caches=("/var/cache/apk",),
        support=("bash", "coreutils", "sed", "setpriv", "shadow", "tzdata"),
    ),
}


def qualified(package: Package, family: Family) -> str:
    """The name by which the family's tools know a package, its architecture with it."""
    known = FAMILIES[family]
    return f"{package.name}{known.joint}{package.architecture}" if package.architecture else package.name


def pinned(package: Package, family: Family) -> str:
    """The word that asks the family's installer for a package, its version with it."""
    if package.version is None:
        return qualified(package, family)
    pin = FAMILIES[family].pin
    if family == "dnf" and package.architecture:  # NAME-VERSION.ARCH
        return f"{package.name}{pin}{package.version}.{package.architecture}"
    return f"{qualified(package, family)}{pin}{package.version}"
