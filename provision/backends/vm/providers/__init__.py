"""Where virtual machines come from: a short file each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from provision.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.backends.base import Finding
    from provision.backends.vm.provider import Provider

# Which is taken first where a host has several and the spec names none.
PREFERENCE = ("qemu", "libvirt", "virtualbox", "parallels", "vmware_desktop", "hyperv")


def names() -> tuple[str, ...]:
    """The providers there are, the preferred first."""
    found = [module.name for module in pkgutil.iter_modules(__path__)]
    return tuple(sorted(found, key=lambda n: (PREFERENCE.index(n) if n in PREFERENCE else 99, n)))


def find(name: str) -> Provider:
    """The provider of this name, which is one of `names`."""
    return cast("Provider", importlib.import_module(f"{__name__}.{name}").PROVIDER)


def examine() -> Iterator[Finding]:
    """What this host lacks for each of them, the preferred first; one at a time, for each takes its time."""
    return (find(name).examine() for name in names())


def preferred(*, of_boxes: bool) -> tuple[str, ...]:
    """Those that a spec may mean that names none: with `of_boxes` it names a box."""
    return tuple(name for name in names() if find(name).takes_boxes or not of_boxes)


def first_usable(*, of_boxes: bool = False) -> str | None:
    """The preferred one of those that this host can use."""
    return next((name for name in preferred(of_boxes=of_boxes) if find(name).examine().usable), None)


def require(provider: Provider) -> None:
    """Raise HostLacks where this host cannot use it, and name one that would do instead."""
    found = provider.examine()
    if found.usable:
        return
    other = first_usable()
    instead = f"`backends: {{vm: {{provider: {other}}}}}` works here" if other else ""
    hints = [found.hint, instead, "`-b docker` creates containers from the same spec"]
    raise HostLacks(
        f"{provider.name} cannot be used on this host" + ("" if other else ", nor can any other provider"),
        evidence=[found.detail] if other else [f"{each.subject}: {each.detail}" for each in examine()],
        hint="; or: ".join(hint for hint in hints if hint),
    )
