"""The contract of a provider: how a virtual machine is made, reached and removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from provision.backends.base import Finding
    from provision.backends.vm.qemu.line import Line
    from provision.model import Environment, Machine, PortStatus, Step
    from provision.progress import Progress
    from provision.rendering import RenderedFile, Rendering
    from provision.state import StateDir

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

    `type` is the provider's word for how it gets there. `mount` is the guest's command
    that mounts it at the path that follows, None where the provider does that itself.
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
    from /etc/hosts: `neighbours`, itself among them. The provider has to join the cards of
    an environment, and nothing else, in one segment, and no more, unless it `introduces`.
    """

    mac: str
    address: str
    prefix: int
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A machine as its provider sees it; `memory` in MiB, `disk` in GiB, None: the box's own.

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


class Provider(Protocol):
    """A source of virtual machines.

    Verbs take the environment's StateDir; the rendering lies in it already when they are
    called. They raise HostLacks where the host cannot do it, EnvironmentFailed where a
    machine was not made or did not answer, with the last lines of what was said.
    """

    name: str
    forwards: frozenset[str]  # protocols of which ports can be forwarded: tcp, udp
    forwards_ipv6: bool  # whether it can bind a port to an IPv6 address of the host
    forwards_by_number: bool  # whether a number on the host leads to one port, whatever the address
    keeps_volumes: bool  # whether a volume outlives its machine
    joins: bool  # whether it can join the machines of an environment, and nobody else, in a network
    introduces: bool  # whether it tells a machine itself its address there, and the names of all
    tags_by_source: (
        bool  # whether a live folder's tag is the hash of its path on the host, whatever it is told
    )
    takes_boxes: bool  # whether its machines are made of boxes
    accelerators: frozenset[str]  # those that a spec may name: kvm, hvf, emulation
    carries: bool  # whether it carries copied folders in itself when it makes a machine

    def examine(self) -> Finding:
        """Whether this host can use it; changes nothing that anybody would notice."""

    def opens_loopback(self) -> str | None:
        """Why a machine reaches what listens on the host's loopback alone; None where it does not."""

    @property
    def live_folders(self) -> str:
        """How a folder of the host is live inside: virtiofs, vboxsf, …, or rsync: it is not."""

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

    def begins_done(self, state_dir: StateDir) -> bool:
        """Whether the machines that it made there began with all steps done.

        A step that changed makes such a machine anew, and nothing is applied inside.
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
        again: Collection[str],
    ) -> None:
        """Make or boot all machines, at the same time, and return when they answer.

        `again` are running ones to boot anew.

        The text of an ssh configuration that reaches each by its name is in
        `state_dir.folder / "ssh_config"` afterwards.
        """

    def go(self, state_dir: StateDir, machine: str, recipe: str) -> None:
        """Let what was held back in a machine that began done begin; nothing where it has.

        Until then no service has what the host gives at a start: folders that are copied, secrets.
        """

    def asked(self, state_dir: StateDir, machine: str) -> Line | None:
        """A quicker way to ask a running machine as root than ssh; None where there is none."""

    def silence(self, state_dir: StateDir, machine: str) -> Silence:
        """Why a running machine does not answer, as far as the host can tell; quick."""

    def release(self, state_dir: StateDir, machine: str) -> None:
        """Give back what a machine that does not run still holds of the host: its ports."""

    def is_forwarded(self, state_dir: StateDir, machine: str, ports: Sequence[PortStatus]) -> bool:
        """Whether these ports of a running machine are forwarded; quick."""

    def forward(self, state_dir: StateDir, machine: str, ports: Sequence[PortStatus]) -> None:
        """Forward those ports of a running machine that are not.

        Raises:
            EnvironmentFailed: one of them is held by another.
        """

    def stop(self, state_dir: StateDir, progress: Progress, machines: Collection[str]) -> None:
        """End these running machines as they should end, or suspend them; nothing of theirs is lost."""

    def remove(
        self, state_dir: StateDir, progress: Progress, machines: Collection[str] | None = None
    ) -> None:
        """Remove these machines, or all, half-made ones too, with everything that only they used."""

    def kept(self, state_dir: StateDir, machine: str) -> int:
        """The bytes that are kept of a machine for its next start; removed or not."""

    def built(self, state_dir: StateDir) -> tuple[str, ...]:
        """What `forget` would throw away, in words."""

    def forget(self, state_dir: StateDir) -> None:
        """Throw away what was built or kept for the next start of removed machines."""

    def volumes(self, state_dir: StateDir) -> tuple[str, ...]:
        """The names of the environment's volumes, those that no machine has any more too."""

    def remove_volumes(self, state_dir: StateDir) -> None:
        """Remove all of them: their data is gone then."""

    def console(self, state_dir: StateDir, machine: str) -> Sequence[str]:
        """The last lines of a machine's console; none where they are not kept."""
