"""What the machines of an environment take of this host, as far as their driver tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.base import Footprint
from provision.backends.vm import drivers
from provision.backends.vm.driver import Measurable

if TYPE_CHECKING:
    from provision.state import StateDir


def footprint(state_dir: StateDir) -> Footprint:
    """Of the machines of the driver that has some."""
    for driver in map(drivers.find, drivers.names()):
        if not driver.machines(state_dir):
            continue
        if isinstance(driver, Measurable):
            return driver.footprint(state_dir)
        break
    return Footprint(
        processes=None, stored=None, own=None, sent=(), escape="the hypervisor, and what it may reach"
    )


def forget_saved(state_dir: StateDir) -> bool:
    """The states that any driver keeps."""
    saved = [
        driver.forget_saved(state_dir)
        for driver in map(drivers.find, drivers.names())
        if isinstance(driver, Measurable)
    ]
    return any(saved)
