"""How long starts take on this host: measured at each start, shown by `explain`."""

from __future__ import annotations

import time
from dataclasses import field, replace
from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass
from provision.state import known_environments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.base import Plan
    from provision.state import StateDir

RECORD = "start"
STARTS = ("create", "recreate", "start")
LIGHT = ("refresh", "change", "remove")


@dataclass(frozen=True, kw_only=True)
class StartRecord:
    """Seconds from the last start of an environment until it was ready, what it is made of being there.

    `changes` has those of the last `up` of each kind, from its plan to ready: what was built too.
    """

    seconds: float
    changes: Mapping[str, float] = field(default_factory=dict)


def note(state_dir: StateDir, plan: Plan, begun: float, since: float) -> None:
    """Record a finished change.

    Args:
        state_dir: of the environment.
        plan: that was carried out.
        begun: when the machines began to start, by the monotonic clock.
        since: when the plan was made, likewise.
    """
    if not plan.changes:
        return
    former = state_dir.load_sound(RECORD, StartRecord)
    now = time.monotonic()
    started = any(action in STARTS for action in plan.actions.values())
    seconds = round(now - begun, 1) if started or former is None else former.seconds
    changes = {**(former.changes if former else {}), kind_of(plan): round(now - since, 1)}
    state_dir.save(RECORD, StartRecord(seconds=seconds, changes=changes))


def kind_of(plan: Plan) -> str:
    """The word for what takes longest in a plan. Pure."""
    if plan.build:
        return "build"
    actions = plan.actions.values()
    return next((kind for kind in ("create", "recreate", "start", *LIGHT) if kind in actions), "")


def estimated(state_dir: StateDir, plan: Plan) -> Plan:
    """The plan with how long the last change of its kind took here."""
    record = state_dir.load_sound(RECORD, StartRecord)
    return replace(plan, seconds=record.changes.get(kind_of(plan)) if record and plan.changes else None)


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
    from statistics import median  # which imports the fractions and decimals that it can take

    return f"{median(found):.1f} s for other environments on this host ({count})"
