"""Machines that end: their services first, so that what those hold is on the disks."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from provision import guest_paths
from provision.backends import snapshots
from provision.backends.vm.driver import SnapshotsEndWithMachine, release
from provision.backends.vm.guest import ssh
from provision.backends.vm.guest.commands import answers, ask
from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Collection

    from provision.backends.vm.driver import Driver
    from provision.progress import Progress
    from provision.state import StateDir

STOP = f"xargs systemctl stop <{guest_paths.KEPT_UNITS}; sync"


def stop(driver: Driver, state_dir: StateDir, progress: Progress, machines: Collection[str]) -> None:
    """End these running machines, and keep them."""
    with progress.step("stopping"):
        for machine in machines:
            ssh.close(state_dir, machine)
        driver.stop(state_dir, progress, machines)
        for machine in machines:
            release(driver, state_dir, machine)


def remove(
    driver: Driver, state_dir: StateDir, progress: Progress, machines: Collection[str] | None = None
) -> None:
    """Remove these machines, or all that are there."""
    with progress.step("removing"):
        for machine in driver.machines(state_dir) if machines is None else machines:
            progress.line(machine)
            if driver.state(state_dir, machine) == "running" and answers(driver, state_dir, machine):
                with suppress(EnvironmentFailed):  # one that does not answer is removed all the same
                    ask(driver, state_dir, machine, STOP)
            ssh.close(state_dir, machine)
        gone = driver.machines(state_dir) if machines is None else machines
        driver.remove(state_dir, progress, machines)
    if isinstance(driver, SnapshotsEndWithMachine):
        for record in snapshots.kept(state_dir):
            if any(machine in gone for machine in record.machines):
                snapshots.forget(state_dir, record.name)
                progress.note(
                    f"the snapshot {record.name} is gone with its machines: {driver.name} has it in them"
                )
