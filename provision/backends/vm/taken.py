"""Which boxes of images an environment's machines were made of: remembered, thrown away with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from provision.backends.vm.boxes import BOXES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from provision.backends.vm.boxes import Box
    from provision.state import StateDir

TAKEN = "boxes"


def take(state_dir: StateDir, provider: str, machine: str, box: Box) -> str | None:
    """Note what a machine is about to be made of: nobody throws that away from now on.

    Returns:
        the name of the box that it was made of before, where that is gone: nobody needs it.
    """
    taken = _taken(state_dir)
    former = taken.pop(machine, None)
    if box.made is not None:
        taken[machine] = {"provider": provider, "box": box.name, "made": box.made.name}
    state_dir.remember(TAKEN, taken)
    if box.made is not None:
        box.made.claim(_record(state_dir))
    return _drop(state_dir, former) if former else None


def drop_all(state_dir: StateDir, provider: str) -> tuple[str, ...]:
    """Forget those of removed machines; the names of the boxes that are gone: nobody else needs them."""
    taken = _taken(state_dir)
    mine = [taken.pop(machine) for machine, record in list(taken.items()) if record["provider"] == provider]
    if not mine:
        return ()
    state_dir.remember(TAKEN, taken)
    gone = [_drop(state_dir, record) for record in mine]
    return tuple(name for name in gone if name)


def _taken(state_dir: StateDir) -> dict[str, Mapping[str, str]]:
    return dict(cast("Mapping[str, Mapping[str, str]]", state_dir.read(TAKEN)))


def _record(state_dir: StateDir) -> Path:
    return state_dir.folder / f"{TAKEN}.json"


def _drop(state_dir: StateDir, former: Mapping[str, str]) -> str | None:
    """Remove a box, unless a machine here or of another environment is of it."""
    if any(record["made"] == former["made"] for record in _taken(state_dir).values()):
        return None
    return former["box"] if BOXES.known(former["made"]).release(_record(state_dir)) else None
