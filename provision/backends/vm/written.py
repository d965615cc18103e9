"""How much was written to machines' own disks since they were ready: what is lost if one is made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.vm.driver import TellsDisk
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from provision.backends.vm.driver import Driver
    from provision.state import StateDir

RECORD = "disks"


@dataclass(frozen=True, kw_only=True)
class DisksRecord:
    """The bytes that each machine's own disk took when the machine was ready for the first time."""

    ready: Mapping[str, int]


def note_ready(driver: Driver, state_dir: StateDir, machines: Collection[str]) -> None:
    """Remember what the disks of machines that were just made take."""
    if not machines or not isinstance(driver, TellsDisk):
        return
    former = state_dir.load_sound(RECORD, DisksRecord)
    sizes = {machine: driver.disk_bytes(state_dir, machine) for machine in machines}
    known = {name: size for name, size in sizes.items() if size is not None}
    state_dir.save(RECORD, DisksRecord(ready={**(former.ready if former else {}), **known}))


def forget(state_dir: StateDir, machines: Collection[str]) -> None:
    """What was remembered of machines that are about to be made anew."""
    record = state_dir.load_sound(RECORD, DisksRecord)
    if record is not None and any(name in record.ready for name in machines):
        left = {name: size for name, size in record.ready.items() if name not in machines}
        state_dir.save(RECORD, DisksRecord(ready=left))


def since_ready(driver: Driver, state_dir: StateDir, machines: Collection[str]) -> Mapping[str, int]:
    """The bytes by which the disks have grown since then; of none where that is not known.

    What overwrites something takes no room, so 0 does not mean that nothing was written.
    """
    record = state_dir.load_sound(RECORD, DisksRecord)
    if record is None or not isinstance(driver, TellsDisk):
        return {}
    sizes = {name: driver.disk_bytes(state_dir, name) for name in machines if name in record.ready}
    return {name: max(0, size - record.ready[name]) for name, size in sizes.items() if size is not None}
