"""Which boxes of images an environment's machines were made of: remembered, thrown away with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.vm.vagrant.boxes import BOXES
from provision.quick_dataclasses import dataclass
from provision.records import require_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.vm.vagrant.boxes import Box
    from provision.state import StateDir

RECORD = "boxes"
OURS = "provision/"  # what the name of every box of an image begins with


@dataclass(frozen=True, kw_only=True)
class BoxRef:
    """The box of a machine: whose it is, what Vagrant calls it, and the artifact's name."""

    provider: str
    box: str
    made: str

    def __post_init__(self) -> None:
        require_name(self.made, "the artifact")
        if not self.box.startswith(OURS):
            raise ValueError(f"the box {self.box!r} was not built here")


@dataclass(frozen=True, kw_only=True)
class BoxRefsRecord:
    """The boxes of images that machines are of, by machine."""

    machines: Mapping[str, BoxRef]


def add(state_dir: StateDir, provider: str, machine: str, box: Box) -> str | None:
    """Note what a machine is about to be made of: nobody throws that away from now on.

    Returns:
        the name of the box that it was made of before, where that is gone: nobody needs it.
    """
    taken = _taken(state_dir)
    former = taken.pop(machine, None)
    if box.made is not None:
        taken[machine] = BoxRef(provider=provider, box=box.name, made=box.made.name)
    state_dir.save(RECORD, BoxRefsRecord(machines=taken))
    if box.made is not None:
        box.made.claim(state_dir.path_of(RECORD))
    return _drop(state_dir, former) if former else None


def drop_all(state_dir: StateDir, provider: str) -> tuple[str, ...]:
    """Forget those of removed machines; the names of the boxes that are gone: nobody else needs them."""
    record = state_dir.load_sound(RECORD, BoxRefsRecord)
    taken = dict(record.machines) if record else {}
    mine = [taken.pop(machine) for machine, each in list(taken.items()) if each.provider == provider]
    if taken:
        state_dir.save(RECORD, BoxRefsRecord(machines=taken))
    else:
        state_dir.forget(RECORD)
    gone = [_drop(state_dir, record) for record in mine]
    return tuple(name for name in gone if name)


def boxes_of(state_dir: StateDir, provider: str) -> tuple[str, ...]:
    """The names of the boxes that machines are, or were last, of."""
    record = state_dir.load_sound(RECORD, BoxRefsRecord)
    known = record.machines.values() if record else ()
    return tuple(dict.fromkeys(each.box for each in known if each.provider == provider))


def artifacts_of(state_dir: StateDir, provider: str) -> tuple[str, ...]:
    """The names of the artifacts behind these boxes."""
    record = state_dir.load_sound(RECORD, BoxRefsRecord)
    known = record.machines.values() if record else ()
    return tuple(dict.fromkeys(each.made for each in known if each.provider == provider))


def _taken(state_dir: StateDir) -> dict[str, BoxRef]:
    record = state_dir.load(RECORD, BoxRefsRecord)
    return dict(record.machines) if record else {}


def _drop(state_dir: StateDir, former: BoxRef) -> str | None:
    """Remove a box, unless a machine here or of another environment is of it."""
    record = state_dir.load_sound(RECORD, BoxRefsRecord)
    if any(each.made == former.made for each in (record.machines.values() if record else ())):
        return None
    return former.box if BOXES.get(former.made).release(state_dir.path_of(RECORD)) else None
