"""The drivers of virtual machines: QEMU's own, and one for each of Vagrant's providers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from provision.backends.vm.driver import TakesBoxes
from provision.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.backends.base import Finding
    from provision.backends.vm.driver import Driver

# By the name that a spec uses; where it names none, the first that this host can use is taken.
MODULES = {
    "qemu": "qemu.driver",
    "libvirt": "vagrant.libvirt",
    "virtualbox": "vagrant.virtualbox",
    "parallels": "vagrant.parallels",
    "vmware_desktop": "vagrant.vmware_desktop",
    "hyperv": "vagrant.hyperv",
}


def names() -> tuple[str, ...]:
    """All drivers, the preferred first."""
    return tuple(MODULES)


def find(name: str) -> Driver:
    """The driver of this name, which is one of `names`."""
    return cast("Driver", importlib.import_module(f"{__package__}.{MODULES[name]}").DRIVER)


def examine() -> Iterator[Finding]:
    """What this host lacks for each of them, the preferred first; checked one at a time, which is slow."""
    return (find(name).examine() for name in names())


def preferred(*, of_boxes: bool) -> tuple[str, ...]:
    """Those that fit a spec that names none: with `of_boxes` it names a box."""
    return tuple(name for name in names() if not of_boxes or isinstance(find(name), TakesBoxes))


def first_usable(*, of_boxes: bool = False) -> str | None:
    """The preferred one of those that this host can use."""
    return next((name for name in preferred(of_boxes=of_boxes) if find(name).examine().usable), None)


def require(driver: Driver) -> None:
    """Raise HostLacks if this host cannot use it, and name one that would do instead."""
    finding = driver.examine()
    if finding.usable:
        return
    other = first_usable()
    instead = f"`backends: {{vm: {{provider: {other}}}}}` works here" if other else ""
    hints = [finding.hint, instead, "`-b docker` creates containers from the same spec"]
    raise HostLacks(
        f"{driver.name} cannot be used on this host" + ("" if other else ", nor can any other provider"),
        evidence=[finding.detail] if other else [f"{each.subject}: {each.detail}" for each in examine()],
        hint="; or: ".join(hint for hint in hints if hint),
    )
