"""Which disks of an environment a registry may have, or is to have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.vm import drivers
from provision.backends.vm.decide import MADE_ANEW
from provision.backends.vm.driver import SharesDisks
from provision.backends.vm.planning import plan_for
from provision.errors import UsageError
from provision.hints import command

if TYPE_CHECKING:
    from provision.backends.base import Shareable
    from provision.backends.vm.driver import Driver
    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.state import StateDir


def to_pull(
    environment: Environment,
    driver: Driver,
    state_dir: StateDir,
    rendering: Rendering,
    *,
    always: bool,
    any_state: bool,
) -> tuple[Shareable, ...]:
    """The disks that `up` would build; with `any_state` those that are not here; or all of them."""
    if not isinstance(driver, SharesDisks):
        return ()
    machines = environment.machines
    if not (always or any_state):
        made = set(plan_for(environment, driver, state_dir, rendering)[1].named(*MADE_ANEW))
        machines = tuple(each for each in machines if each.name in made)
    found = {
        item.tag: item
        for machine in machines
        if (item := driver.shareable(machine, rendering)) and (always or not item.name)
    }
    return tuple(found.values())


def to_push(environment: Environment, driver: Driver, rendering: Rendering) -> tuple[Shareable, ...]:
    """The disks of all machines.

    Raises:
        UsageError: one is not built, or this driver's machines are not made of disks that can be shared.
    """
    if not isinstance(driver, SharesDisks):
        raise UsageError(
            f"machines of {driver.name} are not shared through a registry",
            evidence=["a box brings a Vagrantfile, which is code that runs on the host"],
            hint="select qemu: `backends: {vm: {provider: qemu}}`",
        )
    items: dict[str, Shareable] = {}
    for machine in environment.machines:
        item = driver.shareable(machine, rendering)
        if item is None or not item.name:
            raise UsageError(
                f"the disk of {machine.name} is not built as the spec is now"
                if item
                else f"machine {machine.name} runs its build steps itself: it has no disk to share",
                hint=f"{command('up')} builds it; then push" if item else "take `build: provision` out",
            )
        items.setdefault(item.tag, item)
    return tuple(items.values())


def sharing_driver(item: Shareable) -> SharesDisks:
    """The driver that an item is for."""
    return next(
        driver
        for driver in map(drivers.find, drivers.names())
        if isinstance(driver, SharesDisks) and driver.shares == item.kind
    )
