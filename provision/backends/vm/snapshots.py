"""Snapshots of virtual machines whose driver can take them: the files of each in a folder of its own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from provision.backends import snapshots
from provision.backends.snapshots import SnapshotRecord
from provision.backends.vm import drivers
from provision.backends.vm.driver import SnapshotsEndWithMachine, TakesSnapshots
from provision.backends.vm.guest import ssh
from provision.errors import EnvironmentFailed, UsageError
from provision.hints import command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.progress import Progress
    from provision.state import StateDir


def save(state_dir: StateDir, progress: Progress, name: str) -> None:
    """Keep every machine; each stands still while it is written."""
    with state_dir.lock(progress):
        snapshots.refuse_taken(state_dir, name)
        snapshots.require_whole(state_dir)
        snapshots.forget_halves(state_dir)
        machines = _running(state_dir)
        keys = {each: driver.snapshot_key(state_dir, each) for each, driver in machines.items()}
        folder = snapshots.folder_of(state_dir, name)
        shutil.rmtree(folder, ignore_errors=True)  # what is left of one that was interrupted
        try:
            with progress.step(f"saving {name}"):
                for each, driver in machines.items():
                    progress.line(each)
                    (folder / each).mkdir(mode=0o700, parents=True)
                    driver.save_snapshot(state_dir, each, folder / each)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        snapshots.keep(state_dir, SnapshotRecord(name=name, taken=snapshots.now(), machines=keys))


def restore(state_dir: StateDir, progress: Progress, name: str) -> None:
    """Have every machine as it was."""
    with state_dir.lock(progress):
        record = snapshots.find(state_dir, name)
        machines = _running(state_dir)
        keys = {each: driver.snapshot_key(state_dir, each) for each, driver in machines.items()}
        snapshots.require_same(record, keys)
        with progress.step(f"restoring {name}"):
            snapshots.begin_restore(state_dir, record)
            for each, driver in machines.items():
                progress.line(each)
                ssh.close(state_dir, each)
                driver.restore_snapshot(state_dir, each, snapshots.folder_of(state_dir, name) / each)
            snapshots.end_restore(state_dir)


def delete(state_dir: StateDir, name: str) -> None:
    """Remove a snapshot's files, and what the hypervisor has of it."""
    record = snapshots.find(state_dir, name)
    for driver in map(drivers.find, drivers.names()):
        if isinstance(driver, SnapshotsEndWithMachine):
            for machine in record.machines:
                if machine in driver.machines(state_dir):
                    driver.delete_snapshot(state_dir, machine, snapshots.folder_of(state_dir, name) / machine)
    snapshots.forget(state_dir, name)


def finish_restore(state_dir: StateDir, progress: Progress) -> None:
    """Have the disks as a killed `restore` would have left them; whoever calls this holds the lock.

    Raises:
        EnvironmentFailed: a file of the snapshot is missing.
    """
    found = snapshots.interrupted_restore(state_dir)
    if found is None:
        return
    record, own = found
    with progress.step(f"restoring {record.name}, which was interrupted"):
        for driver in map(drivers.find, drivers.names()):
            if not isinstance(driver, TakesSnapshots):
                continue
            for machine in record.machines:
                folder = snapshots.folder_of(state_dir, record.name) / machine
                ssh.close(state_dir, machine)
                driver.restore_disks(state_dir, machine, folder, own=own)
    snapshots.end_restore(state_dir)


def _running(state_dir: StateDir) -> Mapping[str, TakesSnapshots]:
    """All machines with their drivers.

    Raises:
        UsageError: their driver takes no snapshots.
        EnvironmentFailed: one does not run.
    """
    found: dict[str, TakesSnapshots] = {}
    for driver in map(drivers.find, drivers.names()):
        for machine in driver.machines(state_dir):
            if not isinstance(driver, TakesSnapshots):
                raise UsageError(
                    f"provision takes no snapshots of machines of {driver.name}",
                    hint="machines of qemu and containers have them",
                )
            if driver.state(state_dir, machine) != "running":
                raise EnvironmentFailed(
                    f"machine {machine} does not run", hint=f"{command('start')} starts it"
                )
            found[machine] = driver
    if not found:
        raise EnvironmentFailed(f"{state_dir.name} is not up in vm", hint=f"{command('up')} brings it up")
    return found
