"""The volumes of machines, as the disks that they are."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from provision.backends.vm.driver import Disk

if TYPE_CHECKING:
    from provision.model import Environment, Machine


def disks(environment: Environment, machine: Machine) -> tuple[Disk, ...]:
    """The volumes of a machine as disks; a disk's serial has at most 20 characters."""
    return tuple(
        Disk(
            volume=volume.name,
            path=volume.path,
            serial=hashlib.sha256(f"{machine.name}/{volume.name}".encode()).hexdigest()[:16],
            name=f"{environment.unique_name}.{machine.name}.{volume.name}",
        )
        for volume in machine.volumes
    )
