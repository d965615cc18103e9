"""What was last applied of a spec: kept after a successful `up`, so that `start` needs no spec."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from provision.model import Environment  # noqa: TC001 - the record's loader reads its type
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from provision.state import StateDir

RECORD = "applied"


@dataclass(frozen=True, kw_only=True)
class AppliedRecord:
    """An environment as `up` last applied it, and when; without the checks, which no machine is made of."""

    when: str
    environment: Environment


def keep(state_dir: StateDir, environment: Environment) -> None:
    """Remember what has been applied."""
    machines = tuple(replace(machine, checks=()) for machine in environment.machines)
    record = AppliedRecord(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=replace(environment, machines=machines, demands=()),
    )
    state_dir.save(RECORD, record)


def kept(state_dir: StateDir) -> Environment | None:
    """What was last applied; None where nothing was, or it has been taken down since.

    Raises:
        DamagedRecord: it cannot be read.
    """
    record = state_dir.load(RECORD, AppliedRecord)
    return record.environment if record else None
