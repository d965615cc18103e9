"""The catalogue: which bases there are, by name, alias and date."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, cast

from provision.bases import distributions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.bases.archive import Archive
    from provision.model import Base

SNAPSHOT = "%Y%m%dT%H%M%SZ"
_NEAREST = 3


class UnknownBase(LookupError):
    """No base has that name; `nearest` are the most similar, best first, `known` all of them."""

    def __init__(self, name: str, nearest: tuple[str, ...], known: tuple[str, ...]) -> None:
        super().__init__(f"no base is called {name!r}")
        self.name = name
        self.nearest = nearest
        self.known = known


class NoSnapshot(LookupError):
    """The base cannot be had as of that time; `hint` says what would do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class _Distribution(Protocol):
    BASES: tuple[Base, ...]
    ALIASES: Mapping[str, str]


@cache
def _distributions() -> tuple[_Distribution, ...]:
    modules = sorted(module.name for module in iter_modules(distributions.__path__))
    return tuple(cast("_Distribution", import_module(f"{distributions.__name__}.{name}")) for name in modules)


@cache
def catalogue() -> Mapping[str, Base]:
    """Every base by its name, in the order of the distributions and their releases."""
    return MappingProxyType({base.name: base for module in _distributions() for base in module.BASES})


@cache
def aliases() -> Mapping[str, str]:
    """Other names that a base is known by, each with the catalogue's own."""
    return MappingProxyType(
        {alias: name for module in _distributions() for alias, name in module.ALIASES.items()}
    )


def archive(base: Base) -> Archive | None:
    """The archive that `base` can be made from; None where only a registry has it."""
    for module in _distributions():
        if base.suite and any(known.suite == base.suite for known in module.BASES):
            return cast("Archive | None", getattr(module, "ARCHIVE", None))
    return None


def find(name: str, snapshot: str | None = None) -> Base:
    """The base of that name, as it was at `snapshot` (`20261101T000000Z`) if that is given.

    A dated base has an image of its own name, which no registry has: it is always made here.

    Raises:
        UnknownBase: nothing is called so.
        NoSnapshot: it has no dated archive, or `snapshot` is not a time.
    """
    base = catalogue().get(aliases().get(name, name))
    if base is None:
        raise UnknownBase(name, _nearest(name), tuple(catalogue()))
    return base if snapshot is None else _dated(base, snapshot)


def _dated(base: Base, snapshot: str) -> Base:
    try:
        # strptime alone would take 2026111T000000Z too.
        wellformed = datetime.strptime(snapshot, SNAPSHOT).strftime(SNAPSHOT) == snapshot
    except ValueError:
        wellformed = False
    if not wellformed:
        raise NoSnapshot(f"{snapshot!r} is not the date of an archive", "write it as 20261101T000000Z")
    origin = archive(base)
    if origin is None:
        dated = ", ".join(known.name for known in catalogue().values() if archive(known))
        raise NoSnapshot(f"{base.name} has no dated archive", f"these have one: {dated}")
    return replace(
        base,
        image=f"provision/{base.name}-{snapshot}",
        box=None,
        mirror=origin.mirror_at(snapshot),
        snapshot=snapshot,
    )


def _nearest(name: str) -> tuple[str, ...]:
    from difflib import get_close_matches

    names = (*catalogue(), *aliases())
    alike = get_close_matches(name.lower(), names, n=_NEAREST, cutoff=0.6)
    # `debian` or `debian:sid`: the releases of that distribution say more than letters do.
    distribution = name.lower().partition(":")[0]
    releases = [known for known in catalogue() if known.startswith(f"{distribution}:")]
    return tuple(dict.fromkeys((*alike, *reversed(releases))))[:_NEAREST]
