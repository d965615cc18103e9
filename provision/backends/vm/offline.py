"""What `up` would have to fetch for virtual machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.offline import steps_to_fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.backends.vm.driver import Driver
    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.state import StateDir


def missing(
    environment: Environment, driver: Driver, state_dir: StateDir, rendering: Rendering
) -> Iterator[str]:
    """What machines are made of and is not here, and packages that nothing of it holds."""
    for machine in environment.machines:
        lacking = driver.missing(machine, state_dir, rendering)
        if lacking is None:
            continue
        yield from lacking
        there = driver.state(state_dir, machine.name) != "absent"
        former = state_dir.rendering if there else state_dir.rendering / "none"
        yield from steps_to_fetch(machine, rendering, f"{machine.name}/", former)
