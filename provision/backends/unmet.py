"""What apt says when packages do not fit together, mostly a pinned version: which needs which."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.errors import Problem
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from provision.model import Machine, Package

_BEGIN = "The following packages have unmet dependencies:"
# A package has its name in the first line of its own; the others go on below it.
_LINE = re.compile(
    r" (?:(?P<package>[a-z0-9][a-z0-9+.:-]*) : | +)(?P<kind>(?:Pre)?Depends|Conflicts|Breaks): "
    r"(?P<needs>[a-z0-9][a-z0-9+.:-]*)(?: \((?P<version>[^)]+)\))?(?P<but> but .*)?"
)


@dataclass(frozen=True, kw_only=True)
class Unmet:
    """A package that cannot be installed: what it needs, or what it does not stand, and why."""

    package: str
    kind: str
    needs: str
    version: str
    but: str


def find_unmet(lines: Iterable[str]) -> tuple[Unmet, ...]:
    """What apt printed of it."""
    packages, package, inside = [], "", False
    for line in lines:
        if line.startswith(_BEGIN):
            inside = True
        elif inside and (match := _LINE.fullmatch(line.rstrip())):
            package = match["package"] or package
            packages.append(
                Unmet(
                    package=package.partition(":")[0],
                    kind=match["kind"],
                    needs=match["needs"].partition(":")[0],
                    version=match["version"] or "",
                    but=(match["but"] or "").removeprefix(" but "),
                )
            )
        elif inside and not line.startswith(" "):
            inside = False
    return tuple(packages)


def unmet_problems(unmet: Sequence[Unmet], machine: Machine) -> Iterator[Problem]:
    """Each at the place of its package, or of all pinned ones where the spec does not name it."""
    by_name = {package.name: package for package in machine.packages}
    pinned = [package for package in machine.packages if package.version]
    for one in unmet:
        itself = by_name.get(one.package)
        for package in [itself] if itself else pinned or machine.packages[:1]:
            yield Problem(_sentence(one, itself), package.origin, _hint(one, package))


def _sentence(one: Unmet, package: Package | None) -> str:
    name = f"{one.package}={package.version}" if package and package.version else one.package
    needs = f"{one.needs} ({one.version})" if one.version else one.needs
    verb = {"Conflicts": "conflicts with", "Breaks": "breaks"}.get(one.kind, "needs")
    return f"{name} {verb} {needs}" + (f", but {one.but}" if one.but else "")


def _hint(one: Unmet, package: Package) -> str:
    exact = one.version.removeprefix("= ") if one.version.startswith("= ") else ""
    if exact and one.kind.endswith("Depends"):
        own = f"{package.name}={package.version}, " if package.version else ""
        return f"pin both: `packages: [{own}{one.needs}={exact}]`"
    if package.version:
        return f"leave the version out: `packages: [{package.name}]`"
    return "leave one of them out, or take both from one release"
