"""The context of a check: a machine, how to run commands in it, and testinfra's view of it."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass
from provision.verify.facts import first, gather

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.model import Check, Machine, PortStatus
    from provision.target import Output, Target
    from provision.verify.host import MachineHost


@dataclass(frozen=True, kw_only=True)
class CheckContext:
    """A machine under examination; `host` asks as root, who sees everything.

    `lasting` holds the published ports whose connection from the host stayed open. A check removes
    its port, so that a retry connects again. `system` holds facts that no check changes.
    """

    machine: Machine
    target: Target
    host: MachineHost
    lasting: set[PortStatus] = field(default_factory=set)
    system: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def run(self, script: str, *, user: str | None = None, timeout: float = 60) -> Output:
        """Run text for `sh`, as the machine's user unless another is named."""
        return self.target.run(script, user=user, timeout=timeout)

    @cached_property
    def variables(self) -> Mapping[str, bytes]:
        """The variables that a command of the machine's user gets."""
        entries = self.run("exec cat /proc/self/environ").stdout.split(b"\0")
        pairs = (entry.partition(b"=") for entry in entries if entry)
        return {text_of(name): value for name, _, value in pairs}

    def probe(self, timeout: float) -> None:
        """Hear from the machine, within `timeout` seconds, what kind of machine it is.

        Raises:
            Unreachable: it does not answer.
        """
        self.system.update(first(self.target, timeout))
        self.host.backend.remember(self.system)
        self.host.system_info.type  # noqa: B018 - testinfra keeps what it is told

    def prefetch(self, checks: Sequence[Check]) -> None:
        """Gather what these checks will ask, all at once."""
        self.host.backend.remember(gather(self.target, self.machine.base.family, checks))


def text_of(raw: bytes) -> str:
    """Bytes as text that can be shown, whatever they are."""
    return raw.decode("utf-8", "backslashreplace")
