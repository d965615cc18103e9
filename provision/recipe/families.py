"""The package families: what differs between apt, dnf and apk beside their scripts.

How each installs packages is `templates/shared/packages-FAMILY.sh.j2`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provision.model import Family, Package


@dataclass(frozen=True, kw_only=True)
class PackageFamily:
    """What a recipe must know of a family.

    `pin` joins a name and a version; `caches` are the folders in which downloads lie;
    `support` is what the steps and the machine's own scripts need beyond a minimal base:
    it comes first of all, for even a user cannot be made without it.
    """

    pin: str
    caches: tuple[str, ...]
    support: tuple[str, ...] = ()


FAMILIES: dict[Family, PackageFamily] = {
    "apt": PackageFamily(pin="=", caches=("/var/cache/apt", "/var/lib/apt/lists")),
    "dnf": PackageFamily(
        pin="-",
        caches=("/var/cache/dnf", "/var/cache/libdnf5"),
        support=("shadow-utils", "util-linux", "findutils", "glibc-langpack-en"),
    ),
    "apk": PackageFamily(
        pin="=",
        caches=("/var/cache/apk",),
        support=("bash", "coreutils", "sed", "setpriv", "shadow", "tzdata"),
    ),
}


def pinned(package: Package, family: Family) -> str:
    """The word that asks the family's installer for a package, its version with it."""
    if package.version is None:
        return package.name
    return f"{package.name}{FAMILIES[family].pin}{package.version}"
