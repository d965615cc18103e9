"""What `start` does with machines that `up` made and `stop` stopped; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from provision.backends.base import Plan, PlannedAction
from provision.backends.machines import refuse_unknown
from provision.errors import EnvironmentFailed
from provision.hints import command
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

Stands = Literal["running", "stopped", "paused", "absent", "another"]
"""How a machine stands; `another`: it was made as something else than what was last applied."""


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    message: str
    hint: str


_REFUSALS: Mapping[str, _Refusal] = {
    "absent": _Refusal(message="there is no machine {0} to start", hint=f"{command('up')} creates it"),
    "paused": _Refusal(
        message="machine {0} is paused, not stopped", hint=f"{command('unpause')} lets it go on"
    ),
    "another": _Refusal(
        message="machine {0} is not as it was last applied: another version of provision rendered it",
        hint=f"{command('plan')} shows what {command('up')} would do with it",
    ),
}


def decide_start(machines: Mapping[str, Stands], chosen: str | None) -> Plan:
    """Start those that are stopped, or the chosen one; nothing is created, changed or removed.

    Args:
        machines: how each stands that was last applied.
        chosen: the only one that is meant.

    Raises:
        UsageError: no machine is called so.
        EnvironmentFailed: one that is meant cannot be started.
    """
    refuse_unknown(chosen, machines)
    for name, stands in machines.items():
        if chosen in (None, name) and (refusal := _REFUSALS.get(stands)):
            raise EnvironmentFailed(refusal.message.format(name), hint=refusal.hint)
    return Plan(
        machines=tuple(
            PlannedAction(machine=name, action="start", cause="it is stopped")
            if chosen in (None, name) and stands == "stopped"
            else PlannedAction(machine=name, action="none")
            for name, stands in machines.items()
        )
    )
