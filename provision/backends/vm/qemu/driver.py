"""QEMU itself: no daemon, no root, no Vagrant; the machine's image as its disk."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING

from provision import guest_paths, process
from provision.backends.base import Finding
from provision.backends.vm import acceleration
from provision.backends.vm.architecture import ARCHITECTURES, architecture
from provision.backends.vm.image import shared
from provision.backends.vm.image.store import base_is_here
from provision.backends.vm.options import options_of
from provision.backends.vm.qemu import (
    footprint,
    launch,
    network,
    qmp,
    records,
    render,
    shared_memory,
    snapshot,
)
from provision.backends.vm.qemu.instance import Instance
from provision.errors import EnvironmentFailed, UsageError
from provision.hints import command
from provision.model import Usage
from provision.process import EVIDENCE_LINES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from provision.backends.base import Footprint, Pulled, Pushed, Shareable
    from provision.backends.vm.driver import Guest, GuestState, Silence
    from provision.backends.vm.image.store import Artifact, ArtifactStore
    from provision.backends.vm.qemu.console import GuestConsole
    from provision.model import Environment, Machine
    from provision.oci.model import Manifest
    from provision.oci.registry import Registry
    from provision.progress import Progress
    from provision.records import Record
    from provision.rendering import RenderedFile, Rendering
    from provision.state import StateDir

PROGRAMS = ("qemu-img", "ssh", "ssh-keygen")  # beside the architecture's own
OPTIONS = "trans=virtio,version=9p2000.L,msize=262144,cache=mmap"


class QemuDriver:
    """QEMU machines on this host, with live folders through 9p and volumes as disks."""

    name = "qemu"
    live_folders = "9p"
    forwards = frozenset({"tcp", "udp"})
    forwards_ipv6 = False  # hostfwd takes no IPv6 address
    forwards_by_number = False
    joins_private_network = True
    configures_network = True
    tags_by_source = False
    accelerators = frozenset({"kvm", "hvf", "emulation"})
    syncs_on_boot = False
    records: Mapping[str, type[Record]] = {records.RECORD: records.InstancesRecord}

    def examine(self) -> Finding:
        """Its programs are there; and whether a guest boots with the processor's help."""
        ours = architecture()
        if ours is None:
            known = " and ".join(each.name for each in ARCHITECTURES)
            detail = f"machines are available for {known}, but this host is {platform.machine()}"
            return Finding(subject=self.name, usable=False, detail=detail, hint="use another provider")
        missing = [program for program in (ours.program, *PROGRAMS) if process.find(program) is None]
        if missing:
            hint = "scripts/host-setup vm installs it from the distribution"
            return Finding(
                subject=self.name, usable=False, detail=f"no {' and no '.join(missing)} command", hint=hint
            )
        detail = acceleration.describe()
        if lack := network.passt_lacks():
            return Finding(
                subject=self.name,
                usable=True,
                detail=f"{detail}; {network.OPEN}: {lack.reason}",
                hint=lack.hint,
            )
        return Finding(subject=self.name, usable=True, detail=detail)

    def opens_loopback(self) -> str | None:
        """Where machines have QEMU's own network."""
        lack = network.passt_lacks()
        return lack.reason if lack else None

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
            files |= render.render_machine(environment, guest)
        return files

    def machines(self, state_dir: StateDir) -> tuple[str, ...]:
        """Those that have a disk of their own."""
        folder = Instance(state_dir=state_dir, machine="").folder
        return tuple(sorted(path.stem for path in folder.glob("*.qcow2")))

    def state(self, state_dir: StateDir, machine: str) -> GuestState:
        """By its process and its disk."""
        instance = Instance(state_dir=state_dir, machine=machine)
        if instance.process() is not None:
            return "running"
        return "stopped" if instance.overlay.exists() else "absent"

    def missing(self, machine: Machine, state_dir: StateDir, rendering: Rendering) -> tuple[str, ...] | None:
        """Nothing where its disk is there; else its base's image."""
        if launch.DISKS.find(machine, rendering) is not None:
            return None
        if self.state(state_dir, machine.name) != "absent" or base_is_here(machine):
            return ()
        return (f"the image {machine.base.image}",)

    def starts_provisioned(self, state_dir: StateDir) -> bool:
        """Where its disk was made of its image."""
        return records.all_of_images(state_dir, self.machines(state_dir))

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
        launch.prepare(machines, state_dir, progress, rendering, rebuild=rebuild)

    def start(
        self,
        environment: Environment,
        state_dir: StateDir,
        progress: Progress,
        rendering: Rendering,
        *,
        only: Collection[str],
        again: Collection[str],  # noqa: ARG002 - what runs otherwise than it should is found out
    ) -> None:
        """From a saved state, from its disk, or created."""
        launch.start(environment, state_dir, progress, rendering, only=only)

    def resume(self, state_dir: StateDir, machine: str, recipe: str) -> None:
        """Tell it the time, and let what waits begin."""
        script = f". {guest_paths.RESUME} {time.time():.3f} {recipe}"
        output = Instance(state_dir=state_dir, machine=machine).shell.run(script)
        if output.code != 0:
            raise EnvironmentFailed(
                f"machine {machine} could not start",
                evidence=output.stdout.decode("utf-8", "replace").splitlines(),
                hint=f"{command('up', '--rebuild')} recreates it",
            )

    def note_applied(self, machine: Machine, state_dir: StateDir, rendering: Rendering) -> None:
        """Its disk holds the change, and so will its next state."""
        launch.note_applied(machine, state_dir, rendering)

    def pause(self, state_dir: StateDir, machine: str) -> None:
        """Stop its processors."""
        qmp.execute(Instance(state_dir=state_dir, machine=machine).monitor, "stop")

    def unpause(self, state_dir: StateDir, machine: str) -> None:
        """Let its processors run; its clock stood still."""
        instance = Instance(state_dir=state_dir, machine=machine)
        qmp.execute(instance.monitor, "cont")
        instance.shell.run(f"date --set @{time.time():.3f}", answers_within=launch.ANSWERS_WITHIN)

    def snapshot_key(self, state_dir: StateDir, machine: str) -> str:
        """The key of a state that `stop` may keep: the same may be kept here."""
        made = records.instance_records(state_dir).get(machine)
        if made is None or not made.suspends:
            raise UsageError(
                f"machine {machine} cannot be kept in a snapshot: its memory holds secrets, or must not be"
                " saved (`memory: off`), or its disk is not made of its image"
            )
        return made.suspends

    def save_snapshot(self, state_dir: StateDir, machine: str, folder: Path) -> None:
        """Copies of its disks, with its memory in them."""
        instance = Instance(state_dir=state_dir, machine=machine)
        try:
            snapshot.keep_copy(instance, folder)
        finally:
            self.resume(state_dir, machine, records.instance_records(state_dir)[machine].recipe)

    def restore_snapshot(self, state_dir: StateDir, machine: str, folder: Path) -> None:
        """From those copies, by the way that it was started last."""
        snapshot.restore_copy(Instance(state_dir=state_dir, machine=machine), folder)
        self.resume(state_dir, machine, records.instance_records(state_dir)[machine].recipe)

    def restore_disks(self, state_dir: StateDir, machine: str, folder: Path, *, own: bool) -> None:
        """From those copies, whether QEMU runs or not."""
        snapshot.restore_disks(Instance(state_dir=state_dir, machine=machine), folder, own=own)

    def usage(self, state_dir: StateDir, machine: str) -> Usage | None:
        """Of its QEMU, and of its own disk."""
        import psutil

        instance = Instance(state_dir=state_dir, machine=machine)
        running = instance.process()
        try:
            if running is None:
                return None
            return Usage(
                machine=machine,
                cpu=running.cpu_percent(interval=1.0),
                memory=running.memory_info().rss,
                limit=qmp.memory(instance.monitor),
                disk=instance.overlay.stat().st_blocks * 512,
            )
        except (psutil.Error, OSError):
            return None

    def disk_bytes(self, state_dir: StateDir, machine: str) -> int | None:
        """What its own file takes, unless that holds its memory too."""
        from provision import leftovers

        instance = Instance(state_dir=state_dir, machine=machine)
        return None if snapshot.holds_memory(instance) else leftovers.size(instance.overlay) or None

    def guest_console(self, state_dir: StateDir, machine: str) -> GuestConsole:
        """A shell on a virtual console."""
        return Instance(state_dir=state_dir, machine=machine).shell

    def silence(self, state_dir: StateDir, machine: str) -> Silence:
        """As QEMU says; one that has not answered since its start is on its way for a while."""
        instance = Instance(state_dir=state_dir, machine=machine)
        if instance.is_paused():
            return "paused"
        running = instance.process()
        young = running is not None and time.time() - running.create_time() < launch.BOOTS_WITHIN
        return "starting" if young and not instance.has_answered() else "not answering"

    def is_connected(self, state_dir: StateDir, machine: str) -> bool:
        """Where passt connects it, and not QEMU itself: whether it runs."""
        return Instance(state_dir=state_dir, machine=machine).is_connected()

    def release(self, state_dir: StateDir, machine: str) -> None:
        """End a network that waits for a QEMU that never came; otherwise they end with the machine."""
        instance = Instance(state_dir=state_dir, machine=machine)
        if instance.process() is None:
            instance.end_network()

    def stop(self, state_dir: StateDir, progress: Progress, machines: Collection[str]) -> None:
        """Suspend them; one whose state may not be saved shuts down."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(machines)) as pool:
            list(pool.map(lambda machine: launch.stop(state_dir, machine, progress), machines))

    def remove(
        self,
        state_dir: StateDir,
        progress: Progress,  # noqa: ARG002 - the contract's word
        machines: Collection[str] | None = None,
    ) -> None:
        """End them and remove their disks; a state that is kept for the next start stays."""
        for machine in self.machines(state_dir) if machines is None else machines:
            instance = Instance(state_dir=state_dir, machine=machine)
            instance.power_off()
            snapshot.discard_suspended(instance)
            if not snapshot.stash(instance):
                instance.overlay.unlink(missing_ok=True)
            instance.console.unlink(missing_ok=True)
            snapshot.beside(instance.overlay).unlink(missing_ok=True)

    def saved_bytes(self, state_dir: StateDir, machine: str) -> int:
        """What its disk and the state in it take."""
        return snapshot.saved_bytes(Instance(state_dir=state_dir, machine=machine))

    def built(self, state_dir: StateDir) -> tuple[str, ...]:
        """Disks, and the states that are kept."""
        record = state_dir.load_sound(records.RECORD, records.InstancesRecord)
        known = record.machines if record else {}
        disks = dict.fromkeys(f"the disk {each.disk}" for each in known.values() if each.disk)
        kept = [f"the saved state of {name}" for name in known if self.saved_bytes(state_dir, name)]
        return (*disks, *kept)

    def forget(self, state_dir: StateDir) -> None:
        """Throw away kept states, and disks that nobody else uses."""
        folder = Instance(state_dir=state_dir, machine="").folder
        for kept in folder.glob(f"*.qcow2{snapshot.KEPT}"):
            snapshot.discard(
                Instance(state_dir=state_dir, machine=kept.name.removesuffix(f".qcow2{snapshot.KEPT}"))
            )
        record = state_dir.load_sound(records.RECORD, records.InstancesRecord)
        for machine, known in record.machines.items() if record else ():
            instance = Instance(state_dir=state_dir, machine=machine)
            snapshot.discard(instance)
            if known.disk:
                launch.DISKS.get(known.disk).release(instance.overlay)
        state_dir.forget(records.RECORD)

    @property
    def store(self) -> ArtifactStore:
        """That of disks."""
        return launch.DISKS

    def artifacts(self, state_dir: StateDir) -> tuple[str, ...]:
        """The disks under the machines' own."""
        record = state_dir.load_sound(records.RECORD, records.InstancesRecord)
        return tuple({each.disk: None for each in record.machines.values() if each.disk}) if record else ()

    shares = shared.KIND

    def shareable(self, machine: Machine, rendering: Rendering) -> Shareable | None:
        """The disk that is made of its image."""
        if options_of(machine).build == "provision" or machine.base.family != "apt":
            return None
        return shared.shareable(machine, rendering, launch.DISKS) if architecture() else None

    def pull_disk(
        self, item: Shareable, manifest: Manifest, registry: Registry, progress: Progress
    ) -> Pulled:
        """Among those that were built."""
        return shared.pull(item, manifest, launch.DISKS, registry, progress)

    def push_disk(self, item: Shareable, registry: Registry, progress: Progress) -> Pushed:
        """With its kernel."""
        return shared.push(item, launch.DISKS, registry, progress)

    shares_memory = shared_memory.KIND

    def shareable_memory(
        self, machine: Machine, rendering: Rendering, state_dir: StateDir
    ) -> Shareable | None:
        """The state that is saved when it has booted for the first time."""
        found = launch.saved_state(machine, state_dir, rendering)
        return (
            shared_memory.shareable(Instance(state_dir=state_dir, machine=machine.name), *found)
            if found
            else None
        )

    def pull_memory(
        self,
        item: Shareable,
        manifest: Manifest,
        registry: Registry,
        state_dir: StateDir,
        progress: Progress,
    ) -> Pulled:
        """As if `down` had kept it."""
        instance = Instance(state_dir=state_dir, machine=item.machine)
        disk = launch.DISKS.get(item.disk).folder / launch.DISKS.file
        return shared_memory.pull(item, manifest, instance, disk, registry, progress)

    def push_memory(
        self, item: Shareable, registry: Registry, state_dir: StateDir, progress: Progress
    ) -> Pushed:
        """Without the name of the disk under it."""
        instance = Instance(state_dir=state_dir, machine=item.machine)
        return shared_memory.push(item, instance, registry, progress)

    def forget_artifact(self, artifact: Artifact) -> None:
        """Nothing is kept elsewhere."""

    def volumes(self, state_dir: StateDir) -> tuple[str, ...]:
        """Files next to the machines' disks."""
        return tuple(sorted(path.stem for path in self._volumes(state_dir).glob("*.qcow2")))

    def remove_volumes(self, state_dir: StateDir) -> None:
        """Remove the files."""
        for name in self.volumes(state_dir):
            volume = self._volumes(state_dir) / f"{name}.qcow2"
            for file in (volume, snapshot.beside(volume)):
                file.unlink(missing_ok=True)

    def _volumes(self, state_dir: StateDir) -> Path:
        return Instance(state_dir=state_dir, machine="").folder / "volumes"

    def console_lines(self, state_dir: StateDir, machine: str) -> Sequence[str]:
        """The last lines of its serial console."""
        return Instance(state_dir=state_dir, machine=machine).last_lines(EVIDENCE_LINES)

    def footprint(self, state_dir: StateDir) -> Footprint:
        """Their QEMU and network processes, and their disks."""
        return footprint.footprint(state_dir, self.machines(state_dir))

    def forget_saved(self, state_dir: StateDir) -> bool:
        """Those that lie aside."""
        return footprint.forget_saved(state_dir)


DRIVER = QemuDriver()
