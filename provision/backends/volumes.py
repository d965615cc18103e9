"""Notes on volumes that a change leaves behind, or that start empty; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def notes_on_volumes(
    wanted: Mapping[str, Mapping[str, str]], there: Collection[str], made: Collection[str]
) -> tuple[str, ...]:
    """Notes on volumes that a change leaves behind, and on the empty ones that replace them.

    Args:
        wanted: for each machine its volumes: the spec's name → the backend's.
        there: the backend's names of all volumes of the environment.
        made: the machines that are there already.

    Returns:
        a line for each; none where the environment is new.
    """
    used = {full for names in wanted.values() for full in names.values()}
    left = sorted(set(there) - used)
    if not left and not made:
        return ()
    empty = [
        f"machine {machine} starts with an empty volume {name}: there is no {full} yet"
        for machine, names in wanted.items()
        for name, full in names.items()
        if full not in there
    ]
    kept = [f"no machine uses the volume {full} any more; `down --volumes` removes it" for full in left]
    return (*empty, *kept)
