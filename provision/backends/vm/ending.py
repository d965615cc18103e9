"""Machines that end: their services first, so that what those hold is on the disks."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from provision.backends.vm import connection
from provision.backends.vm.inside import ask
from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Collection

    from provision.backends.vm.provider import Provider
    from provision.progress import Progress
    from provision.workspace import Place

STOP = "xargs systemctl stop </var/lib/provision/units; sync"


def stop(provider: Provider, place: Place, progress: Progress, machines: Collection[str]) -> None:
    """End these running machines, and keep them."""
    with progress.step("stopping"):
        for machine in machines:
            connection.close(place, machine)
        provider.stop(place, progress, machines)
        for machine in machines:
            provider.release(place, machine)


def remove(
    provider: Provider, place: Place, progress: Progress, machines: Collection[str] | None = None
) -> None:
    """Remove these machines, or all that are there."""
    with progress.step("removing"):
        for machine in provider.machines(place) if machines is None else machines:
            if provider.state(place, machine) == "running":
                with suppress(EnvironmentFailed):  # one that does not answer is removed all the same
                    ask(provider, place, machine, STOP)
            connection.close(place, machine)
        provider.remove(place, progress, machines)
