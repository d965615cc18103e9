"""What each QEMU machine was made of: kept for its next start and for its removal."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

from provision.quick_dataclasses import dataclass
from provision.records import require_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.state import StateDir

RECORD = "made"
_REMEMBERING = threading.Lock()  # machines are started side by side, and kept in one record


@dataclass(frozen=True, kw_only=True)
class InstanceRecord:
    """One machine: the hashes of its definition and recipe, and the name of its disk.

    `half_made` until it has booted for the first time; `suspends` is the key of the state
    that `stop` may keep, if it may. `applied` is the recipe to which the running machine was
    changed in place: its own disk has it, the one under that has not.
    """

    definition: str
    build: Literal["image", "provision"]
    recipe: str = ""
    disk: str = ""
    half_made: bool = False
    suspends: str = ""
    applied: str = ""

    def __post_init__(self) -> None:
        if self.disk:
            require_name(self.disk, "the disk")


@dataclass(frozen=True, kw_only=True)
class InstancesRecord:
    """All machines of an environment, by name."""

    machines: Mapping[str, InstanceRecord]


Course = Literal["continue", "boot", "create"]
"""`continue`: as it is, running, suspended or from its disk; `boot`: from its own disk alone."""


def decide_course(former: InstanceRecord | None, wanted: InstanceRecord, *, has_disk: bool) -> Course:
    """How a machine gets from what it was made of to what it is to be made of. Pure.

    A machine that runs its steps inside keeps its disk whatever changed; one of an image is
    created for each change, and so is one that never came up.
    """
    if former is None or former.half_made or not has_disk:
        return "create"
    if former == wanted:
        return "continue"
    return "boot" if former.build == wanted.build == "provision" else "create"


def instance_records(state_dir: StateDir) -> Mapping[str, InstanceRecord]:
    """All that were made and not removed since."""
    record = state_dir.load(RECORD, InstancesRecord)
    return record.machines if record else {}


def save_instance_record(state_dir: StateDir, machine: str, made: InstanceRecord) -> None:
    """Note what a machine is made of."""
    with _REMEMBERING:
        state_dir.save(RECORD, InstancesRecord(machines={**instance_records(state_dir), machine: made}))


def all_of_images(state_dir: StateDir, machines: Sequence[str]) -> bool:
    """Whether those machines began with all steps done."""
    made = instance_records(state_dir)
    return bool(machines) and all(name in made and made[name].build == "image" for name in machines)
