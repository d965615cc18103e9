"""Machines that end: their services first, so that what those hold is on the disks."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from provision.backends.vm import connection
from provision.backends.vm.inside import answers, ask
from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Collection

    from provision.backends.vm.provider import Provider
    from provision.progress import Progress
    from provision.state import StateDir

STOP = "xargs systemctl stop </var/lib/provision/units; sync"


def stop(provider: Provider, state_dir: StateDir, progress: Progress, machines: Collection[str]) -> None:
    """End these running machines, and keep them."""
    with progress.step("stopping"):
        for machine in machines:
            connection.close(state_dir, machine)
        provider.stop(state_dir, progress, machines)
        for machine in machines:
            provider.release(state_dir, machine)


def remove(
    provider: Provider, state_dir: StateDir, progress: Progress, machines: Collection[str] | None = None
) -> None:
    """Remove these machines, or all that are there."""
    with progress.step("removing"):
        for machine in provider.machines(state_dir) if machines is None else machines:
            progress.line(machine)
            if provider.state(state_dir, machine) == "running" and answers(provider, state_dir, machine):
                with suppress(EnvironmentFailed):  # one that does not answer is removed all the same
                    ask(provider, state_dir, machine, STOP)
            connection.close(state_dir, machine)
        provider.remove(state_dir, progress, machines)
