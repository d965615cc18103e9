"""The contract of a backend: what every way of making machines can do, in the same words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from provision.backends.log_view import LogView
    from provision.errors import Problem
    from provision.model import Environment, Machine, MachineState, MachineStatus, PortStatus
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir
    from provision.target import Target

Action = Literal["create", "recreate", "change", "refresh", "start", "wait", "none", "remove"]
"""`refresh` gives a machine the new value of a secret, and starts its services anew."""


@dataclass(frozen=True, kw_only=True)
class PlannedAction:
    """What `up` would do with a machine, and why, in words; nothing to do has no cause."""

    machine: str
    action: Action
    cause: str = ""


@dataclass(frozen=True, kw_only=True)
class PlannedBuild:
    """An image that `up` would build first, and why."""

    image: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `up` would do: an action for each machine, and the images that it must build first.

    A backend decides it from what it observed, and `up` carries out that very object. To
    `remove` is a machine that is there and no longer in the spec. `notes` say what else a
    person should know before.
    """

    machines: tuple[PlannedAction, ...]
    build: tuple[PlannedBuild, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def actions(self) -> Mapping[str, Action]:
        """The action for each machine, by its name."""
        return {planned.machine: planned.action for planned in self.machines}

    @property
    def changes(self) -> bool:
        """Whether anything is made, replaced or started."""
        return bool(self.build) or any(action not in ("none", "wait") for action in self.actions.values())

    def named(self, *actions: Action) -> tuple[str, ...]:
        """The machines that one of these actions is for."""
        return tuple(planned.machine for planned in self.machines if planned.action in actions)


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What there is of an environment in a backend, whatever its spec says.

    `built` is what was made for its machines and is kept for their next start: images,
    disks, boxes, saved states. `ports` are those of the running machines, as far as they are known.
    """

    machines: Mapping[str, MachineState]
    volumes: tuple[str, ...]
    built: tuple[str, ...]
    ports: Mapping[str, tuple[PortStatus, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What `doctor` found of one thing that a backend needs; `hint` says what to do."""

    subject: str
    usable: bool
    detail: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a backend gives a spec on this host: some words for each aspect.

    Args:
        aspects: kernel, isolation, start, size, init, folders, persistence.
        cannot: what the spec requires and this backend can never give, with the reasons.
        lacks: why this host cannot do it now.
    """

    aspects: Mapping[str, str]
    cannot: tuple[str, ...]
    lacks: tuple[str, ...]


class Backend(Protocol):
    """A way of making machines.

    `state_dir` is where the environment's state of this backend lies on the host. Verbs
    raise HostLacks where the host cannot do it, EnvironmentFailed where the environment
    did not come up.
    """

    name: str
    title: str
    """What people call it: Docker."""
    noun: str
    """What it makes, with an article: a container."""
    preference: int
    """Which is taken where several can meet a spec: the lowest, which costs least."""

    def supports(self, machine: Machine) -> frozenset[str]:
        """What a machine has there of what checks may require: kernel, systemd, kvm, gpu."""

    def describe(self, environment: Environment, state_dir: StateDir) -> Capabilities:
        """What it would give an environment here, for people who choose; changes nothing."""

    def notes(self, environment: Environment) -> tuple[str, ...]:
        """What a person should know of what of a spec has no effect there; pure."""

    def settle(self, environment: Environment, state_dir: StateDir) -> Environment:
        """The environment with what this host decides filled in, such as the provider."""

    def refusals(self, environment: Environment, state_dir: StateDir) -> Sequence[Problem]:
        """Why it can never make these machines, each at its place in the spec; none where it can.

        `render`, `plan` and `up` refuse exactly these.
        """

    def render(self, environment: Environment, location: Path) -> Rendering:
        """What `up` would hand to the engine, as files for the folder `location`; pure."""

    def missing(self, environment: Environment, state_dir: StateDir) -> tuple[str, ...]:
        """What `up` would have to fetch from the network, in words; looks and changes nothing."""

    def plan(self, environment: Environment, state_dir: StateDir) -> Plan:
        """What `up` would do; looks and changes nothing."""

    def up(
        self,
        environment: Environment,
        state_dir: StateDir,
        progress: Progress,
        *,
        rebuild: bool,
        timeout: float,
    ) -> Plan:
        """Make what runs equal to what was asked, wait until it is ready; what was done."""

    def stop(self, name: str, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """End the machines, or the one that is named, and keep them. False: none was running.

        Raises:
            UsageError: there is no machine of that name.
        """

    def down(
        self, name: str, state_dir: StateDir, progress: Progress, *, volumes: bool, images: bool
    ) -> bool:
        """Remove the machines; also volumes and images where asked. False: there were none.

        Needs no spec and no record: also on a full disk, and where a record is damaged.
        """

    def remains(self, state_dir: StateDir) -> Remains:
        """What there is of an environment; needs no spec, and no record that could be damaged."""

    def engine_environments(self) -> Mapping[str, tuple[str, str]]:
        """This user's environments that the engine itself knows: id → name and project folder."""

    def status(self, environment: Environment, state_dir: StateDir) -> tuple[MachineStatus, ...]:
        """Every machine as it is now."""

    def targets(self, name: str, state_dir: StateDir, machine: str | None = None) -> Mapping[str, Target]:
        """The running machines by name; the one that is asked for, if one is.

        Raises:
            Unreachable: none of them is running.
            UsageError: there is no machine of that name.
        """

    def lend(self, state_dir: StateDir, target: Target) -> None:
        """Have the SSH agent of this process in a running machine that was made to have one."""

    def sync(self, state_dir: StateDir, progress: Progress, *, watch: bool) -> int:
        """Carry folders that are copied, not live, into the machines; how many there were.

        With `watch`, again whenever one changes, until interrupted.
        """

    def restart(self, state_dir: StateDir, target: Target, services: Sequence[str]) -> None:
        """End the services of a running machine as they should end, and start them again.

        Args:
            state_dir: of its environment.
            target: the machine.
            services: names of services that it has, one at least.
        """

    def logs(
        self,
        name: str,
        state_dir: StateDir,
        services: Sequence[str],
        *,
        machine: str | None,
        view: LogView,
        each_line: Callable[[str], None],
    ) -> None:
        """Every line the services wrote, oldest first, as far as the view wants them.

        Of one machine where one is named; of several, each line carries its machine's name.
        """

    def examine(self) -> tuple[Finding, ...]:
        """What of the host this backend needs or can use."""

    def is_usable(self, findings: Sequence[Finding]) -> bool:
        """Whether what `examine` found is enough."""
