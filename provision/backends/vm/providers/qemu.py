"""QEMU itself: no daemon, no root, no Vagrant; the machine's image as its disk."""

from __future__ import annotations

import platform
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from provision import process
from provision.backends.base import Finding
from provision.backends.vm import acceleration
from provision.backends.vm.architecture import ARCHITECTURES, architecture
from provision.backends.vm.images import base_is_here
from provision.backends.vm.qemu import footprint, made, memory, network, rendering, starting
from provision.backends.vm.qemu.host import Seat
from provision.errors import EnvironmentFailed
from provision.hints import command
from provision.process import EVIDENCE_LINES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from provision.backends.base import Footprint
    from provision.backends.vm.provider import Guest, GuestState, Silence
    from provision.backends.vm.qemu.line import Line
    from provision.model import Environment, Machine, PortStatus
    from provision.progress import Progress
    from provision.rendering import RenderedFile, Rendering
    from provision.state import StateDir

PROGRAMS = ("qemu-img", "ssh", "ssh-keygen")  # beside the architecture's own
OPTIONS = "trans=virtio,version=9p2000.L,msize=262144,cache=mmap"


class Qemu:
    """Machines of QEMU on this host, live folders through 9p, volumes as disks beside them."""

    name = "qemu"
    live_folders = "9p"
    forwards = frozenset({"tcp", "udp"})
    forwards_ipv6 = False  # hostfwd takes no IPv6 address
    forwards_by_number = False
    keeps_volumes = True
    joins = True
    introduces = True
    tags_by_source = False
    takes_boxes = False
    accelerators = frozenset({"kvm", "hvf", "emulation"})
    carries = False

    def examine(self) -> Finding:
        """Its programs are there; and whether a guest boots with the processor's help."""
        ours = architecture()
        if ours is None:
            known = " and ".join(each.name for each in ARCHITECTURES)
            detail = f"machines are made for {known}, and this host is {platform.machine()}"
            return Finding(subject=self.name, usable=False, detail=detail, hint="take another provider")
        missing = [program for program in (ours.program, *PROGRAMS) if process.find(program) is None]
        if missing:
            hint = "scripts/host-setup vm installs it from the distribution"
            return Finding(
                subject=self.name, usable=False, detail=f"no {' and no '.join(missing)} command", hint=hint
            )
        detail = acceleration.describe()
        if reason := network.passt_lacks():
            hint = "scripts/host-setup vm installs passt"
            return Finding(
                subject=self.name, usable=True, detail=f"{detail}; {network.OPEN}: {reason}", hint=hint
            )
        return Finding(subject=self.name, usable=True, detail=detail)

    def opens_loopback(self) -> str | None:
        """Where machines have QEMU's own network."""
        return network.passt_lacks()

    def mount(self, tag: str, *, read_only: bool) -> str | None:
        """9p mounts by tag."""
        return f"mount -t 9p -o {'ro,' if read_only else ''}{OPTIONS} {tag}"

    def render(
        self,
        environment: Environment,
        guests: Sequence[Guest],
        location: Path,  # noqa: ARG002 - the contract's word
    ) -> Mapping[str, RenderedFile]:
        """For each machine a script that becomes QEMU, and what its disk is built of."""
        files: dict[str, RenderedFile] = {}
        for guest in guests:
            files |= rendering.render_machine(environment, guest)
        return files

    def machines(self, state_dir: StateDir) -> tuple[str, ...]:
        """Those that have a disk of their own."""
        folder = Seat(state_dir=state_dir, machine="").state
        return tuple(sorted(path.stem for path in folder.glob("*.qcow2")))

    def state(self, state_dir: StateDir, machine: str) -> GuestState:
        """By its process and its disk."""
        seat = Seat(state_dir=state_dir, machine=machine)
        if seat.process() is not None:
            return "running"
        return "stopped" if seat.overlay.exists() else "absent"

    def missing(self, machine: Machine, state_dir: StateDir, rendering: Rendering) -> tuple[str, ...] | None:
        """Nothing where its disk is there; else its base's image."""
        if starting.DISKS.find(machine, rendering) is not None:
            return None
        if self.state(state_dir, machine.name) != "absent" or base_is_here(machine):
            return ()
        return (f"the image {machine.base.image}",)

    def begins_done(self, state_dir: StateDir) -> bool:
        """Where its disk was made of its image."""
        return made.made_by_image(state_dir, self.machines(state_dir))

    def prepare(
        self,
        machines: Sequence[Machine],
        state_dir: StateDir,
        progress: Progress,
        rendering: Rendering,
        *,
        rebuild: bool,
    ) -> None:
        """Their disks."""
        starting.prepare(machines, state_dir, progress, rendering, rebuild=rebuild)

    def start(
        self,
        environment: Environment,
        state_dir: StateDir,
        progress: Progress,
        rendering: Rendering,
        *,
        again: Collection[str],  # noqa: ARG002 - what runs otherwise than it should is found out
    ) -> None:
        """From memory, from its disk, or made anew."""
        starting.start(environment, state_dir, progress, rendering)

    def go(self, state_dir: StateDir, machine: str, recipe: str) -> None:
        """Say what time it is, and that it may begin."""
        script = f". /usr/lib/provision-guest/go {time.time():.3f} {recipe}"
        said = Seat(state_dir=state_dir, machine=machine).line.run(script)
        if said.code != 0:
            raise EnvironmentFailed(
                f"machine {machine} could not start",
                evidence=said.stdout.decode("utf-8", "replace").splitlines(),
                hint=f"{command('up', '--rebuild')} creates it again",
            )

    def asked(self, state_dir: StateDir, machine: str) -> Line | None:
        """By its line."""
        return Seat(state_dir=state_dir, machine=machine).line

    def silence(self, state_dir: StateDir, machine: str) -> Silence:
        """As QEMU says; one that has not answered since its start is on its way for a while."""
        seat = Seat(state_dir=state_dir, machine=machine)
        if seat.is_paused():
            return "paused"
        found = seat.process()
        young = found is not None and time.time() - found.create_time() < starting.BOOTS_WITHIN
        return "starting" if young and not seat.has_answered() else "not answering"

    def release(self, state_dir: StateDir, machine: str) -> None:
        """End a network that waits for a QEMU that never came; otherwise they end with the machine."""
        seat = Seat(state_dir=state_dir, machine=machine)
        if seat.process() is None:
            seat.end_network()

    def is_forwarded(self, state_dir: StateDir, machine: str, ports: Sequence[PortStatus]) -> bool:  # noqa: ARG002 - the contract's words
        """They live as long as the machine."""
        return True

    def forward(self, state_dir: StateDir, machine: str, ports: Sequence[PortStatus]) -> None:
        """Nothing: QEMU has done it."""

    def stop(self, state_dir: StateDir, progress: Progress, machines: Collection[str]) -> None:
        """Suspend them; one that may keep no memory shuts down."""
        with ThreadPoolExecutor(len(machines)) as pool:
            list(pool.map(lambda machine: starting.stop(state_dir, machine, progress), machines))

    def remove(
        self,
        state_dir: StateDir,
        progress: Progress,  # noqa: ARG002 - the contract's word
        machines: Collection[str] | None = None,
    ) -> None:
        """End them and remove their disks; a state that is kept for the next start stays."""
        for machine in self.machines(state_dir) if machines is None else machines:
            seat = Seat(state_dir=state_dir, machine=machine)
            seat.end()
            memory.drop_suspended(seat)
            if not memory.lay_aside(seat):
                seat.overlay.unlink(missing_ok=True)
            seat.console.unlink(missing_ok=True)

    def kept(self, state_dir: StateDir, machine: str) -> int:
        """What its memory takes."""
        return memory.kept(Seat(state_dir=state_dir, machine=machine))

    def built(self, state_dir: StateDir) -> tuple[str, ...]:
        """Disks, and the states that are kept."""
        record = state_dir.load_sound(made.RECORD, made.MadeRecord)
        known = record.machines if record else {}
        disks = dict.fromkeys(f"the disk {each.disk}" for each in known.values() if each.disk)
        kept = [f"the saved state of {name}" for name in known if self.kept(state_dir, name)]
        return (*disks, *kept)

    def forget(self, state_dir: StateDir) -> None:
        """Throw away kept states, and disks that nobody else uses."""
        folder = Seat(state_dir=state_dir, machine="").state
        for kept in folder.glob(f"*.qcow2{memory.KEPT}"):
            memory.forget(Seat(state_dir=state_dir, machine=kept.name.removesuffix(f".qcow2{memory.KEPT}")))
        record = state_dir.load_sound(made.RECORD, made.MadeRecord)
        for machine, known in record.machines.items() if record else ():
            seat = Seat(state_dir=state_dir, machine=machine)
            memory.forget(seat)
            if known.disk:
                starting.DISKS.known(known.disk).release(seat.overlay)
        state_dir.forget(made.RECORD)

    def volumes(self, state_dir: StateDir) -> tuple[str, ...]:
        """Files beside the machines' disks."""
        return tuple(sorted(path.stem for path in self._volumes(state_dir).glob("*.qcow2")))

    def remove_volumes(self, state_dir: StateDir) -> None:
        """Remove the files."""
        for name in self.volumes(state_dir):
            (self._volumes(state_dir) / f"{name}.qcow2").unlink(missing_ok=True)

    def _volumes(self, state_dir: StateDir) -> Path:
        return Seat(state_dir=state_dir, machine="").state / "volumes"

    def console(self, state_dir: StateDir, machine: str) -> Sequence[str]:
        """The last lines of its serial console."""
        return Seat(state_dir=state_dir, machine=machine).last_lines(EVIDENCE_LINES)

    def footprint(self, state_dir: StateDir) -> Footprint:
        """Their QEMU and network processes, and their disks."""
        return footprint.footprint(state_dir, self.machines(state_dir))

    def forget_saved(self, state_dir: StateDir) -> bool:
        """Those that lie aside."""
        return footprint.forget_saved(state_dir)


PROVIDER = Qemu()
