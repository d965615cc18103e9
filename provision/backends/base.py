"""The contract of a backend: what every one of them can do."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, runtime_checkable

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from provision.backends.log_view import LogView
    from provision.errors import Problem
    from provision.model import (
        Base,
        Environment,
        Event,
        Machine,
        MachineState,
        MachineStatus,
        PortStatus,
        Usage,
    )
    from provision.oci.model import Manifest
    from provision.oci.registry import Registry
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import KnownEnvironment, StateDir
    from provision.target import Target

HostChoices = TypeVar("HostChoices")
"""What a host decides about an environment, in addition to its spec: a frozen value of the backend's own."""

Action = Literal["create", "recreate", "change", "refresh", "start", "wait", "none", "remove"]
"""`refresh` delivers a secret's new value to a machine and restarts its services."""


@dataclass(frozen=True, kw_only=True)
class PlannedAction:
    """What `up` would do with a machine, and why, in words; nothing to do has no cause.

    `loses` says what is thrown away with the machine that is there, `keeps` names the volumes
    that its successor gets; `precious` if a person is asked before.
    """

    machine: str
    action: Action
    cause: str = ""
    loses: str = ""
    keeps: tuple[str, ...] = ()
    precious: bool = False


def losing(
    planned: PlannedAction, what: str, keeps: Sequence[str], *, precious: bool = False
) -> PlannedAction:
    """The action, with what it throws away and which volumes stay. Pure."""
    return replace(planned, loses=what, keeps=tuple(keeps), precious=precious)


@dataclass(frozen=True, kw_only=True)
class PlannedBuild:
    """An image that `up` would build first, and why."""

    image: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class PlannedPull:
    """What `up` would look for in the registry `source` before it builds it.

    `name` is the backend's own for it, empty where it has none yet; `what` is it for people. `found` says
    that it is there and would be pulled; else `reason` says why it would be built.
    """

    name: str
    what: str
    source: str
    found: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `up` would do: an action for each machine, and the images to build first.

    A backend decides it from what it observed, and `up` carries out that very object. To
    `remove` is a machine that is there and no longer in the spec. `pulls` says what a registry has of
    what would be built. `notes` say what else a person should know before. `seconds` is how long the
    last such change took, if that is known.
    """

    machines: tuple[PlannedAction, ...]
    build: tuple[PlannedBuild, ...] = ()
    pulls: tuple[PlannedPull, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def actions(self) -> Mapping[str, Action]:
        """The action for each machine, by its name."""
        return {planned.machine: planned.action for planned in self.machines}

    @property
    def changes(self) -> bool:
        """Whether anything is created, replaced or started."""
        return bool(self.build) or any(action not in ("none", "wait") for action in self.actions.values())

    def named(self, *actions: Action) -> tuple[str, ...]:
        """The machines that one of these actions is for."""
        return tuple(planned.machine for planned in self.machines if planned.action in actions)


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What exists of an environment in a backend, whatever its spec says.

    `built` is what was built for its machines and is kept for their next start: images,
    disks, boxes, saved states. `ports` are those of the running machines, as far as they are known.
    """

    machines: Mapping[str, MachineState]
    volumes: tuple[str, ...]
    built: tuple[str, ...]
    ports: Mapping[str, tuple[PortStatus, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What `doctor` found out about one thing that a backend needs; `hint` says what to do."""

    subject: str
    usable: bool
    detail: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a backend offers a spec on this host, in a few words for each aspect.

    Args:
        aspects: kernel, isolation, start, size, init, folders, persistence.
        cannot: what the spec requires and this backend can never provide, with the reasons.
        lacks: why this host cannot run it now.
    """

    aspects: Mapping[str, str]
    cannot: tuple[str, ...]
    lacks: tuple[str, ...]


def approve_all(plan: Plan) -> None:
    """Approve whatever is planned."""


class Backend(Protocol[HostChoices]):
    """A way to create machines.

    `state_dir` is where this backend keeps the environment's state on the host. Verbs
    raise HostLacks if the host cannot do it, EnvironmentFailed if the environment
    did not come up.
    """

    name: str
    title: str
    """What people call it: Docker."""
    noun: str
    """What it creates, with an article: a container."""
    preference: int
    """If several backends can meet a spec, the lowest is chosen: it costs least."""

    def supports(self, machine: Machine) -> frozenset[str]:
        """Which capabilities a machine has, of those that checks can require: kernel, systemd, kvm, gpu."""

    def describe(self, environment: Environment, state_dir: StateDir) -> Capabilities:
        """What it would offer an environment on this host, for `explain`; changes nothing."""

    def notes(self, environment: Environment) -> tuple[str, ...]:
        """Notes about parts of a spec that have no effect in this backend; pure."""

    def choose(self, environment: Environment, state_dir: StateDir) -> HostChoices:
        """What this host decides about the environment, such as the driver; changes nothing."""

    def refusals(self, environment: Environment, state_dir: StateDir) -> Sequence[Problem]:
        """Why it can never create these machines, each with its place in the spec; empty if it can.

        `render`, `plan` and `up` refuse exactly these.
        """

    def render(
        self, environment: Environment, location: Path, choices: HostChoices | None = None
    ) -> Rendering:
        """What `up` would give the engine, as files for the folder `location`; pure.

        Args:
            environment: what to render.
            location: the folder that relative paths in the files start from.
            choices: what `choose` said of a host; None where it shall not depend on a host.
        """

    def missing(self, environment: Environment, state_dir: StateDir) -> tuple[str, ...]:
        """What `up` would have to download, in words; changes nothing."""

    def plan(self, environment: Environment, state_dir: StateDir) -> Plan:
        """What `up` would do; changes nothing."""

    def up(
        self,
        environment: Environment,
        state_dir: StateDir,
        progress: Progress,
        *,
        rebuild: bool,
        timeout: float,
        approve: Callable[[Plan], None] = ...,
    ) -> Plan:
        """Make the machines match the environment and wait until they are ready; return what was done.

        `approve` gets the plan before any of it is carried out, and raises to stop that.
        """

    def start(
        self,
        environment: Environment,
        state_dir: StateDir,
        progress: Progress,
        *,
        machine: str | None,
        timeout: float,
    ) -> Plan:
        """Start the stopped machines, or the named one, and wait until they are ready; return what was done.

        `environment` is what was last applied. Nothing is created, changed or removed.

        Raises:
            UsageError: there is no machine of that name.
            EnvironmentFailed: one cannot be started: it is gone, paused, or made as something else.
        """

    def stop(self, name: str, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """Stop the machines, or the named one, and keep them. False: none was running.

        Raises:
            UsageError: there is no machine of that name.
        """

    def down(
        self, name: str, state_dir: StateDir, progress: Progress, *, volumes: bool, images: bool
    ) -> bool:
        """Remove the machines, and on request volumes and images. False: there were none.

        Needs no spec and no record: it works on a full disk and with damaged records.
        """

    def remains(self, state_dir: StateDir) -> Remains:
        """What exists of an environment; needs no spec, and no record that could be damaged."""

    def engine_environments(self) -> Mapping[str, tuple[str, str]]:
        """This user's environments according to the engine: id → name and project folder."""

    def status(self, environment: Environment, state_dir: StateDir) -> tuple[MachineStatus, ...]:
        """Every machine as it is now."""

    def targets(self, name: str, state_dir: StateDir, machine: str | None = None) -> Mapping[str, Target]:
        """The running machines by name, or only the requested one.

        Raises:
            Unreachable: none of them is running.
            UsageError: there is no machine of that name.
        """

    def lend(self, state_dir: StateDir, target: Target) -> None:
        """Connect a running machine that forwards an SSH agent to this process's agent."""

    def sync(self, state_dir: StateDir, progress: Progress, *, watch: bool) -> int:
        """Copy folders that are not live into the machines; return how many there were.

        With `watch`, again whenever one changes, until interrupted.
        """

    def restart(self, state_dir: StateDir, target: Target, services: Sequence[str]) -> None:
        """Stop services of a running machine properly, and start them again.

        Args:
            state_dir: of its environment.
            target: the machine.
            services: names of services that it has, at least one.
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
        """Every line that the services wrote and the view wants, oldest first.

        Of the named machine, or of all: then each line begins with its machine's name.
        """

    def examine(self) -> tuple[Finding, ...]:
        """What this backend needs or can use on the host."""

    def is_usable(self, findings: Sequence[Finding]) -> bool:
        """Whether what `examine` found is enough."""


@runtime_checkable
class Pauses(Protocol):
    """What a backend can do in addition to the contract if its machines can be paused in memory."""

    def pause(self, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """Let the running machines, or the named one, stand still. False: none was running.

        Raises:
            UsageError: there is no machine of that name, or its driver cannot.
        """

    def unpause(self, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """Let the paused machines, or the named one, go on. False: none was paused.

        Raises:
            UsageError: there is no machine of that name, or its driver cannot.
        """


@runtime_checkable
class TakesSnapshots(Protocol):
    """What a backend can do beside the contract, that keeps machines and volumes as they are at a moment.

    `backends.snapshots` knows what is kept; it outlives `down`.
    """

    def save_snapshot(self, state_dir: StateDir, progress: Progress, name: str) -> None:
        """Keep all machines and volumes under a name; the machines run on.

        Raises:
            UsageError: the name is taken, or a machine cannot be kept, with the reason.
            EnvironmentFailed: there is nothing to keep, or it failed.
        """

    def restore_snapshot(self, state_dir: StateDir, progress: Progress, name: str) -> None:
        """Have machines and volumes as they were; those that cannot run on are stopped.

        Raises:
            UsageError: there is no such snapshot, or it does not fit the machines.
            EnvironmentFailed: it failed.
        """

    def delete_snapshot(self, state_dir: StateDir, progress: Progress, name: str) -> None:
        """Remove a snapshot.

        Raises:
            UsageError: there is none, or a machine needs it.
        """


@runtime_checkable
class TellsUsage(Protocol):
    """What a backend can do beside the contract, so that `top` can show what machines take."""

    def usage(self, state_dir: StateDir) -> tuple[Usage, ...]:
        """What each running machine takes now; it may look for a second or two.

        Raises:
            UsageError: their driver does not tell.
        """


@runtime_checkable
class TellsEvents(Protocol):
    """What a backend can do beside the contract, whose engine says what happens; others are looked at."""

    def events(self, state_dir: StateDir, each: Callable[[Event], None]) -> None:
        """Hand on what happens from now on, until interrupted or `each` raises."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What the running machines of an environment take of this host.

    Args:
        processes: the ids of all that run for them, those that the engine needs for them too; None
            where they cannot be known.
        stored: the bytes of what the machines are made of; None: as many as are sent, uncompressed.
        own: the bytes that they have written of their own.
        sent: commands that print what another host would need to make them.
        escape: what a program that leaves its machine reaches.
        saves: a state of them is kept, from which they start after they were down.
        caveats: what makes figures on this host other than they are elsewhere, each a sentence.
    """

    processes: tuple[int, ...] | None
    stored: int | None
    own: int | None
    sent: tuple[tuple[str, ...], ...]
    escape: str
    saves: bool = False
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EnvironmentUsage:
    """What an environment takes of this host now.

    Args:
        processes: the ids of all processes of its running machines, as far as this host sees them.
        disk: the bytes that removing it with its volumes, and with what was built for it alone, frees.
    """

    processes: tuple[int, ...]
    disk: int


@dataclass(frozen=True, kw_only=True)
class Cached:
    """Something that a backend keeps on this host, so that a later start is quick.

    Args:
        kind: image, disk, box: the word for people.
        name: what `discard` knows it by.
        size: the bytes that are free without it.
        used: when it was last used, in seconds since the epoch.
        in_use: a machine that exists is made of it.
        needed_by: environments that would start from it, by their unique names.
        recorded: an environment of this user has, or had, it; or it lies in this user's own cache.
    """

    kind: str
    name: str
    size: int
    used: float
    in_use: bool
    needed_by: tuple[str, ...] = ()
    recorded: bool = True


@runtime_checkable
class Weighs(Protocol):
    """What a backend can do in addition to the contract, so that `provision list` can tell what is used."""

    def environment_usage(self, state_dirs: Sequence[StateDir]) -> Mapping[str, EnvironmentUsage]:
        """What each of these environments takes, by its id; changes nothing."""


@runtime_checkable
class KeepsCaches(Protocol):
    """What a backend can do in addition to the contract, so that `provision gc` can tidy up."""

    def cached(
        self, environments: Sequence[KnownEnvironment], gone: Sequence[KnownEnvironment]
    ) -> tuple[Cached, ...]:
        """All that it keeps for later starts, of every environment; changes nothing.

        Args:
            environments: this user's, in every state folder, whose project is there.
            gone: those whose project was removed.
        """

    def half_made(self) -> tuple[Path, ...]:
        """Files and folders that a build left when it was killed, and that nobody goes on with."""

    def discard(self, cached: Sequence[Cached]) -> None:
        """Remove these; one that a machine is made of by now stays."""


@dataclass(frozen=True, kw_only=True)
class Shareable:
    """Something that can be kept in a registry, so that another host need not build it.

    Args:
        kind: image, disk, saved state: the backend's own word.
        name: what the backend knows it by on this host; empty where it is not here.
        title: it for people: the image provision/dev:0123.
        tag: what it is called in the registry; it follows from all that it is made of.
        architecture: for which it is, as Docker calls it.
        key: the hash of all that it is made of.
        machine: whose it is alone; empty where others may be made of it too.
        disk: what a saved state lies on.
    """

    kind: str
    name: str
    title: str
    tag: str
    architecture: str
    key: str
    machine: str = ""
    disk: str = ""


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What was stored; of its `size` bytes `sent` were not there yet; None where that is not known."""

    item: Shareable
    reference: str
    digest: str
    size: int | None = None
    sent: int | None = None


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What is here now; of its `size` bytes `received` came over the network; None: that is not known."""

    item: Shareable
    digest: str
    size: int | None = None
    received: int | None = None


@runtime_checkable
class Shares(Protocol):
    """What a backend can do beside the contract, so that what it builds can be kept in a registry."""

    def to_pull(
        self, environment: Environment, state_dir: StateDir, *, always: bool, any_state: bool = False
    ) -> tuple[Shareable, ...]:
        """What `up` would build now; changes nothing.

        Args:
            environment: what the spec describes.
            state_dir: the environment's.
            always: also what is here already.
            any_state: also what `up` would not need now, because of how its machines are.
        """

    def pull(
        self,
        item: Shareable,
        manifest: Manifest,
        registry: Registry,
        state_dir: StateDir,
        progress: Progress,
    ) -> Pulled:
        """Have on this host what a registry has, as if it was built here for an environment.

        Raises:
            RegistryFailed: it could not be taken whole, or is something else than it is called.
        """

    def to_push(self, environment: Environment, state_dir: StateDir) -> tuple[Shareable, ...]:
        """What is built of this spec.

        Raises:
            UsageError: something of it is not built.
        """

    def push(self, item: Shareable, registry: Registry, state_dir: StateDir, progress: Progress) -> Pushed:
        """Store it in a registry.

        Raises:
            RegistryFailed: it could not be.
        """


@runtime_checkable
class SharesMemory(Protocol):
    """What a backend can do beside that: machines that start from memory which another host has saved."""

    def memory_to_pull(self, environment: Environment, state_dir: StateDir) -> tuple[Shareable, ...]:
        """The saved states from which `up` could start now, and that are not here; changes nothing."""

    def memory_to_push(self, environment: Environment, state_dir: StateDir) -> tuple[Shareable, ...]:
        """Those of all machines, for `Shares.push`.

        Raises:
            UsageError: a machine has none, or is using it.
        """


@runtime_checkable
class ReachesHosts(Protocol):
    """What a backend can do in addition to the contract if it can create machines on another host."""

    def address(self) -> str:
        """The address of the other host on which it creates them now; empty for this one."""


@runtime_checkable
class RunsElsewhere(Protocol):
    """What a backend has in addition to the contract if provision runs on its other hosts."""

    def handed_to(self, load: Callable[[], Environment]) -> tuple[str, Mapping[str, str]]:
        """The host to which this process's variables send a verb, as they do for the engine's own tools.

        Args:
            load: reads the spec, where the answer depends on it.

        Returns:
            The host's address, such as ssh://me@big, empty for this one; and variables to be set there.
        """


@runtime_checkable
class BuildsBases(Protocol):
    """What a backend can do in addition to the contract if its machines start from a base's image or box."""

    def build_base(self, base: Base, progress: Progress, *, provider: str | None) -> Iterator[str]:
        """Build these from the mirror of the base's distribution; yield the name of each once it is built.

        Args:
            base: the base.
            progress: told each step.
            provider: build it for this provider of machines only; of no meaning to some backends.

        Raises:
            UsageError: there is nothing to build for this provider.
        """


@runtime_checkable
class ByNameOnly(Protocol):
    """What a backend has beside the contract that verbs take only where a person names it."""

    by_name_only: bool


@runtime_checkable
class MayBeSlow(Protocol):
    """What a backend can do in addition to the contract if its machines are slow on some hosts."""

    def is_slow(self, environment: Environment) -> bool:
        """Whether its machines work many times slower than this host, so that extras are not worth it."""


@runtime_checkable
class HasForms(Protocol):
    """What a backend can do beside the contract, whose machines are not made of the same on every host."""

    def form(self, environment: Environment, state_dir: StateDir) -> str:
        """What a lock calls its machines on this host: its own name, and what else they depend on."""

    def architecture(self) -> str:
        """That of its machines, as `uname -m` says it."""


@runtime_checkable
class Measurable(Protocol):
    """What a backend can do besides the contract, so that `provision compare` can tell what it costs."""

    def footprint(self, state_dir: StateDir) -> Footprint:
        """What its running machines take of this host; changes nothing."""

    def forget_saved(self, state_dir: StateDir) -> bool:
        """Throw away states that are kept of machines that are down; whether there were any.

        Their next start is one without a saved state, from their image or disk.
        """
