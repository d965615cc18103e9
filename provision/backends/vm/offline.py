"""What `up` would have to fetch for virtual machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.offline import steps_to_fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.backends.vm.provider import Provider
    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.workspace import Place


def missing(
    environment: Environment, provider: Provider, place: Place, rendering: Rendering
) -> Iterator[str]:
    """What machines are made of and is not here, and packages that nothing of it holds."""
    for machine in environment.machines:
        lacking = provider.missing(machine, place, rendering)
        if lacking is None:
            continue
        yield from lacking
        there = provider.state(place, machine.name) != "absent"
        former = place.rendering if there else place.rendering / "none"
        yield from steps_to_fetch(machine, rendering, f"{machine.name}/", former)
