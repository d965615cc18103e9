"""Which boxes of images an environment's machines were made of: remembered, thrown away with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from provision.backends.vm.boxes import BOXES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.vm.boxes import Box
    from provision.workspace import Place

TAKEN = "boxes"


def take(place: Place, provider: str, machine: str, box: Box, user: Path) -> str | None:
    """Note what a machine is about to be made of; `user` is there as long as the machine.

    Returns:
        the name of the box that it was made of before, where that is gone: nobody needs it.
    """
    taken = _taken(place)
    former = taken.pop(machine, None)
    if box.made is not None:
        box.made.claim(user)
        taken[machine] = {"provider": provider, "box": box.name, "made": box.made.name, "user": str(user)}
    place.remember(TAKEN, taken)
    return _drop(former) if former and former["box"] != box.name else None


def drop_all(place: Place, provider: str) -> tuple[str, ...]:
    """Throw away those of removed machines that nobody else needs; their names."""
    taken = _taken(place)
    mine = [machine for machine, record in taken.items() if record["provider"] == provider]
    if not mine:
        return ()
    gone = [_drop(taken.pop(machine)) for machine in mine]
    place.remember(TAKEN, taken)
    return tuple(name for name in gone if name)


def _taken(place: Place) -> dict[str, Mapping[str, str]]:
    return dict(cast("Mapping[str, Mapping[str, str]]", place.read(TAKEN)))


def _drop(record: Mapping[str, str]) -> str | None:
    return record["box"] if BOXES.known(record["made"]).release(Path(record["user"])) else None
