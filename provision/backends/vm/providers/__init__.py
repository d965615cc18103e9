"""Where virtual machines come from: a short file each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from provision.errors import HostLacks

if TYPE_CHECKING:
    from provision.backends.base import Finding
    from provision.backends.vm.provider import Provider

# Which is taken first where a host has several and the spec names none.
PREFERENCE = ("libvirt", "virtualbox", "parallels", "vmware_desktop", "hyperv")


def names() -> tuple[str, ...]:
    """The providers there are, the preferred first."""
    found = [module.name for module in pkgutil.iter_modules(__path__)]
    return tuple(sorted(found, key=lambda n: (PREFERENCE.index(n) if n in PREFERENCE else 99, n)))


def find(name: str) -> Provider:
    """The provider of this name, which is one of `names`."""
    return cast("Provider", importlib.import_module(f"{__name__}.{name}").PROVIDER)


def first_usable() -> str | None:
    """The preferred one of those that this host can use."""
    return next((name for name in names() if find(name).examine().usable), None)


def require(provider: Provider) -> None:
    """Raise HostLacks where this host cannot use it, and name one that would do instead."""
    found = provider.examine()
    if found.usable:
        return
    other = first_usable()
    instead = f"`backends: {{vm: {{provider: {other}}}}}` works here" if other else ""
    hints = [found.hint, instead, "`-b docker` makes containers of the same spec"]
    raise HostLacks(
        f"{provider.name} cannot be used on this host" if other
        else "this host has no provider of virtual machines",
        evidence=[found.detail] if other
        else [f"{finding.subject}: {finding.detail}" for finding in map(_examine, names())],
        hint="; or: ".join(hint for hint in hints if hint),
    )  # fmt: skip


def _examine(name: str) -> Finding:
    return find(name).examine()
