"""QEMU itself: no daemon, no root, no Vagrant; the machine's image as its disk."""

from __future__ import annotations

import platform
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from provision import process
from provision.backends.base import Finding
from provision.backends.vm.acceleration import PROGRAM, accelerated
from provision.backends.vm.images import base_is_here
from provision.backends.vm.qemu import memory, rendering, starting
from provision.backends.vm.qemu.host import Seat
from provision.errors import EnvironmentFailed
from provision.process import EVIDENCE_LINES
from provision.recipe import container_packages

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from provision.backends.readiness import Asked
    from provision.backends.vm.provider import Disk, Guest, GuestState
    from provision.model import Environment, Machine, PortStatus
    from provision.progress import Progress
    from provision.rendering import RenderedFile, Rendering
    from provision.workspace import Place

PROGRAMS = (PROGRAM, "qemu-img", "ssh", "ssh-keygen")
OPTIONS = "trans=virtio,version=9p2000.L,msize=262144,cache=mmap"


class Qemu:
    """Machines of QEMU on this host, live folders through 9p, volumes as disks beside them."""

    name = "qemu"
    live_folders = "9p"
    forwards = frozenset({"tcp", "udp"})
    keeps_volumes = True
    joins = True
    introduces = True
    takes_boxes = False
    carries = False

    def examine(self) -> Finding:
        """Its programs are there; and whether a guest boots with the processor's help."""
        missing = [program for program in PROGRAMS if process.find(program) is None]
        if platform.machine() not in ("x86_64", "AMD64"):
            detail = f"machines are made for x86_64, and this host is {platform.machine()}"
            return Finding(subject=self.name, usable=False, detail=detail, hint="take another provider")
        if missing:
            hint = "scripts/host-setup vm installs it from the distribution"
            return Finding(
                subject=self.name, usable=False, detail=f"no {' and no '.join(missing)} command", hint=hint
            )
        kind = accelerated()
        detail = kind.upper() if kind else "emulation: slow, no guest boots with the processor's help here"
        return Finding(subject=self.name, usable=True, detail=detail)

    def mount(self, tag: str, *, read_only: bool) -> str | None:
        """9p mounts by tag."""
        return f"mount -t 9p -o {'ro,' if read_only else ''}{OPTIONS} {tag}"

    def packages(self, machine: Machine) -> tuple[str, ...]:
        """What its container has: they are made of the same layers."""
        return container_packages(machine)

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

    def machines(self, place: Place) -> tuple[str, ...]:
        """Those that have a disk of their own."""
        folder = Seat(place=place, machine="").state
        names = {path.stem for path in folder.glob("*.qcow2")}
        return tuple(sorted(name for name in names if name in place.read(starting.MADE)))

    def state(self, place: Place, machine: str) -> GuestState:
        """By its process and its disk."""
        seat = Seat(place=place, machine=machine)
        if seat.process() is not None:
            return "running"
        return "stopped" if seat.overlay.exists() else "absent"

    def missing(self, machine: Machine, place: Place, rendering: Rendering) -> tuple[str, ...] | None:
        """Nothing where its disk is there; else its base's image."""
        if starting.DISKS.find(machine, rendering) is not None:
            return None
        if self.state(place, machine.name) != "absent" or base_is_here(machine):
            return ()
        return (f"the image {machine.base.image}",)

    def begins_done(self, place: Place) -> bool:
        """Where its disk was made of its image."""
        return starting.made_by_image(place, self.machines(place))

    def start(
        self,
        environment: Environment,
        place: Place,
        progress: Progress,
        rendering: Rendering,
        *,
        again: Collection[str],  # noqa: ARG002 - what runs otherwise than it should is found out
        rebuild: bool,
    ) -> None:
        """From memory, from its disk, or made anew."""
        starting.start(environment, place, progress, rendering, rebuild=rebuild)

    def go(self, place: Place, machine: str, recipe: str) -> None:
        """Say what time it is, and that it may begin."""
        script = f". /usr/lib/provision-guest/go {time.time():.3f} {recipe}"
        said = Seat(place=place, machine=machine).line.run(script)
        if said.code != 0:
            raise EnvironmentFailed(
                f"machine {machine} could not begin",
                evidence=said.stdout.decode("utf-8", "replace").splitlines(),
                hint="`provision up --rebuild` makes it anew",
            )

    def asked(self, place: Place, machine: str) -> Asked | None:
        """By its line."""
        return Seat(place=place, machine=machine).line

    def release(self, place: Place, machine: str) -> None:
        """Nothing: QEMU forwards ports itself, and ends that with the machine."""

    def is_forwarded(self, place: Place, machine: str, ports: Sequence[PortStatus]) -> bool:  # noqa: ARG002 - the contract's words
        """They live as long as the machine."""
        return True

    def forward(self, place: Place, machine: str, ports: Sequence[PortStatus]) -> None:
        """Nothing: QEMU has done it."""

    def stop(self, place: Place, progress: Progress, machines: Collection[str]) -> None:
        """Suspend them; one that may keep no memory shuts down."""
        with ThreadPoolExecutor(len(machines)) as pool:
            list(pool.map(lambda machine: starting.stop(place, machine, progress), machines))

    def remove(
        self,
        place: Place,
        progress: Progress,  # noqa: ARG002 - the contract's word
        machines: Collection[str] | None = None,
    ) -> None:
        """End them and remove their disks; a state that is kept for the next start stays."""
        for machine in self.machines(place) if machines is None else machines:
            seat = Seat(place=place, machine=machine)
            seat.end()
            memory.drop_suspended(seat)
            if not memory.lay_aside(seat):
                seat.overlay.unlink(missing_ok=True)
            seat.console.unlink(missing_ok=True)

    def kept(self, place: Place, machine: str) -> int:
        """What its memory takes."""
        return memory.kept(Seat(place=place, machine=machine))

    def forget(self, place: Place) -> None:
        """Throw away kept states, and disks that nobody else uses."""
        for machine, record in place.read(starting.MADE).items():
            seat = Seat(place=place, machine=machine)
            memory.forget(seat)
            if isinstance(record, dict) and "disk" in record:
                starting.DISKS.known(record["disk"]).release(seat.overlay)
        (place.folder / f"{starting.MADE}.json").unlink(missing_ok=True)

    def remove_volume(self, place: Place, disk: Disk) -> None:
        """A file beside the machine's disk."""
        (Seat(place=place, machine="").state / "volumes" / disk.file).unlink(missing_ok=True)

    def console(self, place: Place, machine: str) -> Sequence[str]:
        """The last lines of its serial console."""
        return Seat(place=place, machine=machine).last_lines(EVIDENCE_LINES)


PROVIDER = Qemu()
