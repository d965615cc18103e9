"""How long starts take on this host: measured at each start, shown by `explain`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from provision.state import known_environments

if TYPE_CHECKING:
    from provision.backends.base import Plan
    from provision.state import StateDir

RECORD = "start"
STARTS = ("create", "recreate", "start")


@dataclass(frozen=True, kw_only=True)
class StartRecord:
    """Seconds from the last start of an environment until it was ready, what it is made of being there."""

    seconds: float


def note(state_dir: StateDir, plan: Plan, begun: float) -> None:
    """Record a finished start; `begun` is when the machines began to start, by the monotonic clock."""
    if any(action in STARTS for action in plan.actions.values()):
        state_dir.save(RECORD, StartRecord(seconds=round(time.monotonic() - begun, 1)))


def measured(state_dir: StateDir, otherwise: str) -> str:
    """How long a start takes here: that of this environment, else of others, else what is usual elsewhere."""
    own = state_dir.load_sound(RECORD, StartRecord)
    if own is not None:
        return f"{own.seconds:.1f} s at its last start on this host"
    backend = state_dir.folder.name
    found = [
        record.seconds
        for known in known_environments()
        if backend in known.backends
        and (record := known.state_dir(backend).load_sound(RECORD, StartRecord)) is not None
    ]
    if not found:
        return f"not measured on this host yet; {otherwise}"
    count = f"{len(found)} environment{'s' if len(found) > 1 else ''}"
    return f"{median(found):.1f} s for other environments on this host ({count})"
