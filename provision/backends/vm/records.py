"""What is remembered of machines that were brought up: enough to enter them and to remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.ports import key
from provision.model import PortStatus
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Machine
    from provision.state import StateDir

RECORD = "machines"


@dataclass(frozen=True, kw_only=True)
class MachineRecord:
    """One machine as it was brought up."""

    user: str
    workdir: str
    services: tuple[str, ...]
    ports: tuple[PortStatus, ...]
    agent: bool = False

    @classmethod
    def of(cls, machine: Machine, chosen: Mapping[str, int]) -> MachineRecord:
        """Of a machine whose ports have these numbers on the host."""
        return cls(
            user=machine.user,
            workdir=machine.workdir,
            agent=machine.workspace is not None and machine.workspace.agent,
            services=tuple(service.name for service in machine.services),
            ports=tuple(
                PortStatus(
                    guest=port.guest,
                    host=chosen[key(machine.name, port)],
                    address=port.address,
                    protocol=port.protocol,
                )
                for port in sorted(machine.ports, key=lambda p: (p.guest, p.protocol))
            ),
        )


@dataclass(frozen=True, kw_only=True)
class MachinesRecord:
    """The machines that were brought up and not removed since; `definitions` say what each was made as."""

    provider: str
    definitions: Mapping[str, str]
    machines: Mapping[str, MachineRecord]


def definition_of(state_dir: StateDir, machine: str) -> str | None:
    """The hash of what a machine was made as."""
    record = state_dir.load(RECORD, MachinesRecord)
    return record.definitions.get(machine) if record else None


def machine_records(state_dir: StateDir) -> Mapping[str, MachineRecord]:
    """All that were brought up and not removed since, by name."""
    record = state_dir.load(RECORD, MachinesRecord)
    return record.machines if record else {}


def ports_of(state_dir: StateDir) -> Mapping[str, tuple[PortStatus, ...]]:
    """The ports that machines were brought up with, by name; where the record is damaged nobody knows."""
    record = state_dir.load_sound(RECORD, MachinesRecord)
    return {name: machine.ports for name, machine in record.machines.items()} if record else {}


def driver_of(state_dir: StateDir) -> str | None:
    """Who made them; where the record is damaged nobody knows."""
    record = state_dir.load_sound(RECORD, MachinesRecord)
    return record.provider if record else None
