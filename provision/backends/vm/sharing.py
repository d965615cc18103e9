"""Which disks and saved states of an environment a registry may have, or is to have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.vm import drivers
from provision.backends.vm.decide import MADE_ANEW
from provision.backends.vm.driver import SharesDisks, SharesMemory
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


def memory_to_pull(
    environment: Environment, driver: Driver, rendering: Rendering, state_dir: StateDir
) -> tuple[Shareable, ...]:
    """The saved states of machines that do not exist yet, where none is kept here."""
    if not isinstance(driver, SharesMemory):
        return ()
    absent = [each for each in environment.machines if driver.state(state_dir, each.name) == "absent"]
    items = (driver.shareable_memory(machine, rendering, state_dir) for machine in absent)
    return tuple(item for item in items if item and not item.name)


def memory_to_push(
    environment: Environment, driver: Driver, rendering: Rendering, state_dir: StateDir
) -> tuple[Shareable, ...]:
    """The saved states of all machines.

    Raises:
        UsageError: one has none, or is using it.
    """
    if not isinstance(driver, SharesMemory):
        raise UsageError(
            f"machines of {driver.name} have no saved states to share",
            hint="select qemu: `backends: {vm: {provider: qemu}}`",
        )
    items = []
    for machine in environment.machines:
        item = driver.shareable_memory(machine, rendering, state_dir)
        if item is None:
            raise UsageError(
                f"machine {machine.name} has no saved state",
                evidence=["it has `memory: off` or `build: provision`, or its disk is not built"],
                hint="push without --memory shares its disk",
            )
        if not item.name:
            raise UsageError(
                f"no saved state of machine {machine.name} is kept as the spec is now",
                hint=f"{command('up', '-b', 'vm')} saves it when it creates the machine,"
                f" {command('down', '-b', 'vm')} keeps it; then push",
            )
        items.append(item)
    return tuple(items)


def memory_driver(item: Shareable) -> SharesMemory:
    """The driver that a saved state is for."""
    return next(
        driver
        for driver in map(drivers.find, drivers.names())
        if isinstance(driver, SharesMemory) and driver.shares_memory == item.kind
    )


def sharing_driver(item: Shareable) -> SharesDisks:
    """The driver that an item is for."""
    return next(
        driver
        for driver in map(drivers.find, drivers.names())
        if isinstance(driver, SharesDisks) and driver.shares == item.kind
    )
