"""What `up` would have to fetch for virtual machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.offline import steps_to_fetch
from provision.backends.vm.boxes import box_is_here
from provision.backends.vm.qemu import disks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.backends.vm.provider import Provider
    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.workspace import Place


def missing(
    environment: Environment, provider: Provider, place: Place, rendering: Rendering
) -> Iterator[str]:
    """The boxes and bases that are not here, and packages that no disk holds."""
    for machine in environment.machines:
        there = provider.state(place, machine.name) != "absent"
        if not there and provider.takes_boxes and not box_is_here(machine, provider.name):
            yield f"the box of {machine.base.name} for {provider.name}"
        if not provider.takes_boxes and disks.is_made(machine, rendering):
            continue
        if not there and not provider.takes_boxes and not disks.base_is_here(machine):
            yield f"the image {machine.base.image}"
        former = place.rendering if there else place.rendering / "none"
        yield from steps_to_fetch(machine, rendering, f"{machine.name}/", former)
