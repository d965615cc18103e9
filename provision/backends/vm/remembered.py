"""What is remembered of machines that were brought up: enough to enter them and to remove them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from provision.backends.ports import key
from provision.backends.vm.rendering import disks
from provision.model import PortStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Environment, Machine
    from provision.state import StateDir

REMEMBERED = "machines"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One machine as it was brought up."""

    user: str
    workdir: str
    services: tuple[str, ...]
    ports: tuple[PortStatus, ...]
    disks: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, environment: Environment, machine: Machine, chosen: Mapping[str, int]) -> Facts:
        """Of a machine whose ports have these numbers on the host."""
        return cls(
            user=machine.user,
            workdir=machine.workdir,
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
            disks=tuple(asdict(disk) for disk in disks(environment, machine)),
        )


def facts_of(state_dir: StateDir) -> Mapping[str, Facts]:
    """All that were brought up and not removed since, by name."""
    machines = cast("Mapping[str, Mapping[str, Any]]", state_dir.read(REMEMBERED).get("machines", {}))
    return {
        name: Facts(**{**known, "ports": tuple(PortStatus(**port) for port in known["ports"])})
        for name, known in machines.items()
    }
