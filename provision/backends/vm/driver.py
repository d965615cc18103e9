"""The contract of a driver: how a virtual machine is created, reached and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeGuard, runtime_checkable

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from provision.backends.base import Finding, Footprint, Pulled, Pushed, Shareable
    from provision.backends.vm.image.store import Artifact, ArtifactStore
    from provision.backends.vm.qemu.console import GuestConsole
    from provision.model import Environment, Machine, PortStatus, Step, Usage
    from provision.oci.model import Manifest
    from provision.oci.registry import Registry
    from provision.progress import Progress
    from provision.records import Record
    from provision.rendering import RenderedFile, Rendering
    from provision.state import StateDir

# The variables by which a driver's own tools find another host.
ADDRESSED_BY = {"LIBVIRT_DEFAULT_URI": "libvirt"}
GuestState = Literal["running", "stopped", "absent"]
Silence = Literal["starting", "paused", "not answering"]


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A volume of `size` GiB; `serial` names the disk in the guest, `name` on the host."""

    volume: str
    path: str
    serial: str
    name: str
    size: int = 10


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A live folder: `source` on the host, absolute or relative to the rendering; `tag` names it inside.

    `type` is the driver's word for how it gets there. `mount` is the guest's command
    that mounts it at the path that follows, None where the driver does that itself.
    `user` is whose it should be inside, if anybody's.
    """

    source: str
    path: str
    tag: str
    type: str
    read_only: bool
    mount: str | None
    user: str | None


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A machine on the private network of its environment, and what it is called there."""

    mac: str
    address: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Card:
    """A machine's second network card, on the private network of its environment.

    The machine itself gives the card with this `mac` its `address`, and knows all machines
    from /etc/hosts: `neighbours`, itself among them. The driver has to join the cards of
    an environment, and nothing else, in one segment, and no more, unless it `configures_network`.
    """

    mac: str
    address: str
    prefix: int
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A machine as its driver sees it; `memory` in MiB, `disk` in GiB, None: the box's own.

    `steps` are those that make it of its base; `card` is there where it has neighbours.
    """

    machine: Machine
    cpus: int
    memory: int
    disk: int | None
    folders: tuple[Folder, ...]
    disks: tuple[Disk, ...]
    steps: tuple[Step, ...] = ()
    card: Card | None = None


class Driver(Protocol):
    """A way to create virtual machines: QEMU itself, or one of Vagrant's providers.

    This is what every driver can do. What only some can do is a protocol of its own, below.

    Verbs take the environment's StateDir; the rendering lies in it already when they are
    called. They raise HostLacks where the host cannot do it, EnvironmentFailed where a
    machine could not be created or did not answer, with the last lines of the output.
    """

    name: str
    live_folders: str
    """How a folder of the host is live inside: virtiofs, vboxsf, …, or rsync: it is not."""
    forwards: frozenset[str]
    """The protocols whose ports it forwards: tcp, udp."""
    forwards_ipv6: bool
    """Whether it can bind a port to an IPv6 address of the host."""
    forwards_by_number: bool
    """Whether a number on the host leads to one port, whatever the address."""
    joins_private_network: bool
    """Whether it can join the machines of an environment, and nobody else, in a network."""
    configures_network: bool
    """Whether it tells a machine itself its address there, and all names."""
    tags_by_source: bool
    """Whether a live folder's tag is the hash of its path on the host, whatever the rendering says."""
    accelerators: frozenset[str]
    """Those that a spec may name: kvm, hvf, emulation."""
    records: Mapping[str, type[Record]]
    """What it remembers of an environment: the names of its records, and what each holds."""
    syncs_on_boot: bool
    """Whether it copies the folders that are not live itself when it creates or boots a machine."""

    def examine(self) -> Finding:
        """Whether this host can use it; changes nothing that anybody would notice."""

    def mount(self, tag: str, *, read_only: bool) -> str | None:
        """The guest's command that mounts a live folder at the path that follows it.

        None where it is mounted already when the guest answers.
        """

    def render(
        self, environment: Environment, guests: Sequence[Guest], location: Path
    ) -> Mapping[str, RenderedFile]:
        """The files from which the machines are made; pure."""

    def machines(self, state_dir: StateDir) -> tuple[str, ...]:
        """The machines that it has made there, half-made ones too."""

    def state(self, state_dir: StateDir, machine: str) -> GuestState:
        """Whether a machine is there, and runs; quick."""

    def missing(self, machine: Machine, state_dir: StateDir, rendering: Rendering) -> tuple[str, ...] | None:
        """What would have to be fetched to make a machine, beside what its steps install.

        None where nothing at all would: what it begins with is there, and has them done.
        """

    def prepare(
        self,
        machines: Sequence[Machine],
        state_dir: StateDir,
        progress: Progress,
        rendering: Rendering,
        *,
        rebuild: bool,
    ) -> None:
        """Build or fetch what machines are to be made of, so that `start` finds it; no machine is touched.

        `rebuild` trusts nothing that was built before.
        """

    def start(
        self,
        environment: Environment,
        state_dir: StateDir,
        progress: Progress,
        rendering: Rendering,
        *,
        only: Collection[str],
        again: Collection[str],
    ) -> None:
        """Make or boot machines, at the same time, and return when they answer.

        `only` are those that are meant, `again` running ones among them to boot anew.

        The text of an ssh configuration that reaches each by its name is in
        `state_dir.folder / "ssh_config"` afterwards.
        """

    def silence(self, state_dir: StateDir, machine: str) -> Silence:
        """Why a running machine does not answer, as far as the host can tell; quick."""

    def stop(self, state_dir: StateDir, progress: Progress, machines: Collection[str]) -> None:
        """End these running machines as they should end, or suspend them; nothing of theirs is lost."""

    def remove(
        self, state_dir: StateDir, progress: Progress, machines: Collection[str] | None = None
    ) -> None:
        """Remove these machines, or all, half-made ones too, with everything that only they used."""

    def built(self, state_dir: StateDir) -> tuple[str, ...]:
        """What `forget` would throw away, in words."""

    def forget(self, state_dir: StateDir) -> None:
        """Throw away what was built or kept for the next start of removed machines."""

    def console_lines(self, state_dir: StateDir, machine: str) -> Sequence[str]:
        """The last lines of a machine's serial console; none where they are not kept."""


@runtime_checkable
class KeepsVolumes(Protocol):
    """A driver whose volumes outlive their machine."""

    def volumes(self, state_dir: StateDir) -> tuple[str, ...]:
        """The names of the environment's volumes, those that no machine has any more too."""

    def remove_volumes(self, state_dir: StateDir) -> None:
        """Remove all of them: their data is gone then."""


@runtime_checkable
class TakesBoxes(Protocol):
    """A driver whose machines are made of boxes."""

    def refuse_small_disk(self, machine: Machine) -> None:
        """Raise UsageError if the spec's disk is smaller than the box's, as far as that is known here."""


@runtime_checkable
class MakesArtifacts(Protocol):
    """A driver that makes disks or boxes of images, and keeps them in a folder of the cache."""

    store: ArtifactStore

    def artifacts(self, state_dir: StateDir) -> tuple[str, ...]:
        """The names in `store` of what the environment's machines are, or were last, made of."""

    def forget_artifact(self, artifact: Artifact) -> None:
        """Remove what the hypervisor keeps of one that is about to be removed."""


@runtime_checkable
class SharesDisks(Protocol):
    """A driver whose disks can be kept in a registry."""

    shares: str
    """The kind of what it shares."""

    def shareable(self, machine: Machine, rendering: Rendering) -> Shareable | None:
        """The disk of a machine, with its name in the store if it is here; None: it is not of an image."""

    def pull_disk(
        self, item: Shareable, manifest: Manifest, registry: Registry, progress: Progress
    ) -> Pulled:
        """Have a disk as if it was built here; RegistryFailed where it cannot be had whole."""

    def push_disk(self, item: Shareable, registry: Registry, progress: Progress) -> Pushed:
        """Store a disk that is here; RegistryFailed where the registry does not take it."""


@runtime_checkable
class SharesMemory(Protocol):
    """A driver whose machines can start from memory that another host has saved."""

    shares_memory: str
    """The kind of what it shares so."""

    def shareable_memory(
        self, machine: Machine, rendering: Rendering, state_dir: StateDir
    ) -> Shareable | None:
        """The saved state that fits a machine's disk here, named if it is kept; None: it can have none."""

    def pull_memory(
        self,
        item: Shareable,
        manifest: Manifest,
        registry: Registry,
        state_dir: StateDir,
        progress: Progress,
    ) -> Pulled:
        """Keep a saved state for the next start; RegistryFailed where it cannot be had whole."""

    def push_memory(
        self, item: Shareable, registry: Registry, state_dir: StateDir, progress: Progress
    ) -> Pushed:
        """Store one that is kept here; RegistryFailed where the registry does not take it."""


@runtime_checkable
class HasGuestConsole(Protocol):
    """A driver that can run commands in a machine quicker than ssh, and before sshd is up."""

    def guest_console(self, state_dir: StateDir, machine: str) -> GuestConsole:
        """A root shell in a running machine."""


@runtime_checkable
class StartsProvisioned(Protocol):
    """A driver whose machines may start with all steps done.

    A step that changed recreates such a machine, and nothing is applied inside. What needs
    the host (folders that are copied, secrets) waits in the machine until `resume`.
    """

    def starts_provisioned(self, state_dir: StateDir) -> bool:
        """Whether the machines that it made there started with all steps done."""

    def resume(self, state_dir: StateDir, machine: str, recipe: str) -> None:
        """Let what waits in a machine begin, after a boot and after a saved state alike."""

    def note_applied(self, machine: Machine, state_dir: StateDir, rendering: Rendering) -> None:
        """Remember that a running machine was changed in place to be what is rendered now."""


@runtime_checkable
class SavesState(Protocol):
    """A driver that saves the state of a booted machine for its next start."""

    def saved_bytes(self, state_dir: StateDir, machine: str) -> int:
        """The bytes that a saved state takes; 0 where there is none. The machine may be removed."""


@runtime_checkable
class Pauses(Protocol):
    """A driver that can let a running machine stand still in memory; `silence` says `paused` then."""

    def pause(self, state_dir: StateDir, machine: str) -> None:
        """Let it stand still.

        Raises:
            EnvironmentFailed: the hypervisor refused.
        """

    def unpause(self, state_dir: StateDir, machine: str) -> None:
        """Let it go on, with the right time.

        Raises:
            EnvironmentFailed: the hypervisor refused.
        """


@runtime_checkable
class TakesSnapshots(Protocol):
    """A driver that can keep a running machine, memory and volumes too, and bring it back to that."""

    def snapshot_key(self, state_dir: StateDir, machine: str) -> str:
        """The hash of all that a machine's memory depends on.

        Raises:
            UsageError: it cannot be kept, with the reason.
        """

    def save_snapshot(self, state_dir: StateDir, machine: str, folder: Path) -> None:
        """Keep a running machine in a folder that is there; it runs on."""

    def restore_snapshot(self, state_dir: StateDir, machine: str, folder: Path) -> None:
        """Have a machine as it was, running."""

    def restore_disks(self, state_dir: StateDir, machine: str, folder: Path, *, own: bool) -> None:
        """Have a machine's disks as they were, its volumes alone unless `own`; it is ended for that.

        Its memory is lost: it boots from them. This is for a restore that was killed.
        """


@runtime_checkable
class SnapshotsEndWithMachine(Protocol):
    """A driver whose snapshots are the hypervisor's own: they end with the machine."""

    def delete_snapshot(self, state_dir: StateDir, machine: str, folder: Path) -> None:
        """Have the hypervisor forget one; one that is gone is no error."""


@runtime_checkable
class TellsUsage(Protocol):
    """A driver that can tell what a machine takes of this host."""

    def usage(self, state_dir: StateDir, machine: str) -> Usage | None:
        """What a machine takes now, looked at for a second; None where it does not run."""


@runtime_checkable
class TellsDisk(Protocol):
    """A driver that can tell how much a machine's own disk takes."""

    def disk_bytes(self, state_dir: StateDir, machine: str) -> int | None:
        """The bytes that the machine alone has written to its disk; None where that cannot be told."""


@runtime_checkable
class HoldsPorts(Protocol):
    """A driver that may hold ports of the host for a machine that died."""

    def release(self, state_dir: StateDir, machine: str) -> None:
        """Give back what a machine that does not run still holds."""


@runtime_checkable
class HasNetworkProgram(Protocol):
    """A driver whose machines reach the world through a program beside them, which may end before them."""

    def is_connected(self, state_dir: StateDir, machine: str) -> bool:
        """Whether the network of a running machine is there; quick."""


@runtime_checkable
class ForwardsLater(Protocol):
    """A driver that can forward a port of a running machine."""

    def is_forwarded(self, state_dir: StateDir, machine: str, ports: Sequence[PortStatus]) -> bool:
        """Whether these ports of a running machine are forwarded; quick."""

    def forward(self, state_dir: StateDir, machine: str, ports: Sequence[PortStatus]) -> None:
        """Forward those ports of a running machine that are not.

        Raises:
            EnvironmentFailed: one of them is held by another.
        """


@runtime_checkable
class OpensLoopback(Protocol):
    """A driver whose machines may reach what listens on the host's loopback alone."""

    def opens_loopback(self) -> str | None:
        """Why they reach it on this host; None if they don't."""


def is_connected(driver: Driver, state_dir: StateDir, machine: str) -> bool:
    """Whether a running machine has its network, as far as that can end without it."""
    return not isinstance(driver, HasNetworkProgram) or driver.is_connected(state_dir, machine)


def release(driver: Driver, state_dir: StateDir, machine: str) -> None:
    """Give back the ports that a machine which does not run still holds, if its driver may hold any."""
    if isinstance(driver, HoldsPorts):
        driver.release(state_dir, machine)


def volumes_of(driver: Driver, state_dir: StateDir) -> tuple[str, ...]:
    """The environment's volumes; none where the driver keeps none."""
    return driver.volumes(state_dir) if isinstance(driver, KeepsVolumes) else ()


def starts_provisioned(driver: Driver, state_dir: StateDir) -> TypeGuard[StartsProvisioned]:
    """Whether the environment's machines started with all steps done."""
    return isinstance(driver, StartsProvisioned) and driver.starts_provisioned(state_dir)


def loopback_reason(driver: Driver) -> str | None:
    """Why its machines reach services on this host's loopback; None if they don't."""
    return driver.opens_loopback() if isinstance(driver, OpensLoopback) else None


@runtime_checkable
class Measurable(Protocol):
    """A driver that can tell what its machines take of this host, as `backends.base.Measurable` asks."""

    def footprint(self, state_dir: StateDir) -> Footprint:
        """What its running machines take of this host."""

    def forget_saved(self, state_dir: StateDir) -> bool:
        """Throw away the saved states of machines that are down; False where there were none."""


@runtime_checkable
class HasAddress(Protocol):
    """What a driver has in addition if its tools know other hosts."""

    def elsewhere(self) -> tuple[str, Mapping[str, str]]:
        """Where ssh reaches the host in its variable, and what is to be set there; or neither."""
