"""What a machine asks for that a lock must answer; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.recipe.packages import implied_packages

if TYPE_CHECKING:
    from provision.model import Base, Machine, Package


def base_key(base: Base) -> str:
    """How a lock names a base: a dated one is another."""
    return f"{base.name}@{base.snapshot}" if base.snapshot else base.name


def asks_of(machine: Machine) -> tuple[str, ...]:
    """The packages that a machine gets besides its base, as a spec writes them, sorted."""
    named = {package.name for package in machine.packages}
    implied = (name for name in implied_packages(machine) if name not in named)
    return tuple(sorted({*map(_written, machine.packages), *implied}))


def repositories_of(machine: Machine) -> tuple[str, ...]:
    """The repositories that they may come from besides the distribution's own, sorted."""
    return tuple(
        sorted(
            " ".join((each.name, each.url, each.suite, *each.components)).strip()
            for each in machine.repositories
        )
    )


def _written(package: Package) -> str:
    architecture = f":{package.architecture}" if package.architecture else ""
    version = f"={package.version}" if package.version else ""
    release = f" from {package.release}" if package.release else ""
    return f"{package.name}{architecture}{version}{release}"
