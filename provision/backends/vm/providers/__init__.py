"""Where virtual machines come from: a short file each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from provision.errors import HostLacks

if TYPE_CHECKING:
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


def require(provider: Provider) -> None:
    """Raise HostLacks where this host cannot use it, and name those that would do instead."""
    found = provider.examine()
    if found.usable:
        return
    others = [name for name in names() if name != provider.name and find(name).examine().usable]
    instead = f"`backends: {{vm: {{provider: {others[0]}}}}}` works here" if others else ""
    hints = [found.hint, instead, "`-b docker` makes containers of the same spec"]
    raise HostLacks(
        f"{provider.name} cannot be used on this host",
        evidence=[found.detail],
        hint="; or: ".join(hint for hint in hints if hint),
    )
