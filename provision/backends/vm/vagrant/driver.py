"""Providers that work through Vagrant: one Vagrantfile, each with a block of its own in it."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from provision import process
from provision.backends.base import Finding
from provision.backends.ports import kept, key
from provision.backends.vm.acceleration import INSTEAD
from provision.backends.vm.boot import Hangs, shown
from provision.backends.vm.guest import ssh
from provision.backends.vm.guest.sync import INSIDE, LEFT_OUT
from provision.backends.vm.render import HOME
from provision.backends.vm.vagrant import box_refs
from provision.backends.vm.vagrant.boxes import (
    BOXES,
    box_files,
    box_name,
    ensure_box,
    forget_box,
    missing_box,
    refuse_small_disk,
)
from provision.backends.vm.vagrant.errors import Leftover, fault
from provision.backends.vm.vagrant.listener import (
    ADDRESS_PATIENCE,
    CHOICES,
    CONSOLE,
    KERNEL_PATIENCE,
    Listener,
    console_text,
    consoles,
)
from provision.errors import EnvironmentFailed, UsageError
from provision.process import EVIDENCE_LINES
from provision.progress import Silent
from provision.rendering import RenderedFile, render

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from provision.backends.vm.driver import Guest, GuestState, Silence
    from provision.backends.vm.image.store import Artifact, ArtifactStore
    from provision.errors import ProvisionError
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.records import Record
    from provision.rendering import Rendering
    from provision.state import StateDir

STARTING_WITHIN = 10.0  # seconds since the console's last line
INSTALL = "scripts/host-setup vm installs it from the distribution"


class VagrantDriver:
    """What all providers of Vagrant share; each adds its block, and how to ask for a state."""

    name: str
    live_folders = "rsync"
    forwards = frozenset({"tcp", "udp"})
    forwards_ipv6 = False  # their NAT binds addresses of IPv4 alone
    forwards_by_number = False
    joins_private_network = False
    configures_network = False
    tags_by_source = False
    accelerators: frozenset[str] = frozenset()
    syncs_on_boot = True
    records: Mapping[str, type[Record]] = {box_refs.RECORD: box_refs.BoxRefsRecord}

    def examine(self) -> Finding:
        """Whether Vagrant is there, and the hypervisor that this provider drives."""
        if process.find("vagrant") is None:
            return Finding(subject=self.name, usable=False, detail="no vagrant command", hint=INSTALL)
        return self.hypervisor()

    def hypervisor(self) -> Finding:
        """Whether the hypervisor and Vagrant's plugin for it can be used here."""
        raise NotImplementedError

    def host_choices(
        self,
        environment: Environment,  # noqa: ARG002 - for those that have something to say
        boxes: Mapping[str, Mapping[str, str | None]],  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Mapping[str, object]:
        """What this host decides of the machines: goes to host.json, which the Vagrantfile reads."""
        return {}

    def give_up_acceleration(
        self,
        environment: Environment,  # noqa: ARG002 - for those that have another way
        boxes: Mapping[str, Mapping[str, str | None]],  # noqa: ARG002
    ) -> bool:
        """Choose otherwise for machines that hang; False where there is no other way."""
        return False

    def mount(self, tag: str, *, read_only: bool) -> str | None:  # noqa: ARG002 - the contract's words
        """Vagrant mounts its synced folders itself."""
        return None

    def render(
        self,
        environment: Environment,
        guests: Sequence[Guest],
        location: Path,  # noqa: ARG002 - the contract's word
    ) -> Mapping[str, RenderedFile]:
        """A Vagrantfile that plain `vagrant up` works with, and what the boxes are built of."""
        text = render(
            "vm/Vagrantfile.j2",
            {
                "environment": environment,
                "guests": guests,
                "provider": self,
                "key": key,
                "home": HOME,
                "console": CONSOLE,
                "inside": INSIDE,
                "left_out": LEFT_OUT,
            },
        )
        files = {"Vagrantfile": RenderedFile(content=text.encode())}
        for guest in guests:
            files |= box_files(guest, self.name)
        return files

    def machines(self, state_dir: StateDir) -> tuple[str, ...]:
        """Those of which Vagrant has written down an identity."""
        identities = (state_dir.rendering / ".vagrant" / "machines").glob(f"*/{self.name}/id")
        return tuple(sorted(path.parent.parent.name for path in identities))

    def state(self, state_dir: StateDir, machine: str) -> GuestState:
        """The hypervisor's answer: asking Vagrant would run a Vagrantfile."""
        identity = self.identity(state_dir, machine)
        return "absent" if identity is None else self.state_of(identity, state_dir, machine)

    def state_of(self, identity: str, state_dir: StateDir, machine: str) -> GuestState:
        """Ask the hypervisor about the machine that it knows by `identity`."""
        raise NotImplementedError

    def identity(self, state_dir: StateDir, machine: str) -> str | None:
        """The hypervisor's name of a machine, as Vagrant wrote it down when it was made."""
        path = state_dir.rendering / ".vagrant" / "machines" / machine / self.name / "id"
        try:
            return path.read_text().strip() or None
        except OSError:
            return None

    def missing(self, machine: Machine, state_dir: StateDir, rendering: Rendering) -> tuple[str, ...] | None:
        """The box of a machine that is not there yet, or what it is made of."""
        if self.state(state_dir, machine.name) != "absent":
            return ()
        return missing_box(machine, self.name, rendering)

    def refuse_small_disk(self, machine: Machine) -> None:
        """Vagrant would take the box's size without a word."""
        refuse_small_disk(machine, self.name)

    def prepare(
        self,
        machines: Sequence[Machine],
        state_dir: StateDir,
        progress: Progress,
        rendering: Rendering,
        *,
        rebuild: bool,
    ) -> None:
        """The boxes of those that are to be made of one."""
        for each in machines:
            self.refuse_small_disk(each)
            if rebuild or self.state(state_dir, each.name) == "absent":
                ensure_box(each, self.name, state_dir, rendering, progress, rebuild=rebuild)

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
        """`vagrant up` or `reload`, without provisioning: that is done over our own connection."""
        self.refuse_strangers(environment, state_dir)
        self.remember_volumes(environment, state_dir)
        boxes = self.boxes(environment, state_dir, progress, rendering)
        self._choose(environment, state_dir, boxes, progress)
        others = [each.name for each in environment.machines if each.name not in only]
        # Where none is to stay stopped none is named: then Vagrant boots them at the same time.
        stays = any(self.state(state_dir, name) != "running" for name in others)
        meant = tuple(only) if stays else ()
        try:
            self._boot(state_dir, progress, meant, again=again)
        except Leftover as error:
            progress.note(f"{error.message}: removing it first")
            self._clear(environment, state_dir, progress)
            self._boot(state_dir, progress, meant, again=())
        except Hangs as error:
            if not self.give_up_acceleration(environment, boxes):
                raise
            progress.note(f"{error.message}: not using KVM for this box any more")
            self._clear(environment, state_dir, progress)
            self._choose(environment, state_dir, boxes, progress)
            self._boot(state_dir, progress, meant, again=())
        vagrant = _vagrant(state_dir, _ignore)
        running = [name for name in others if self.state(state_dir, name) == "running"]
        named: tuple[str | None, ...] = (*only, *running) if stays else (None,)  # None: all of them at once
        texts = [vagrant.ssh_config(vm_name=name) for name in named]
        (state_dir.folder / "ssh_config").write_text("\n".join(texts))

    def _choose(
        self,
        environment: Environment,
        state_dir: StateDir,
        boxes: Mapping[str, Mapping[str, str | None]],
        progress: Progress,
    ) -> None:
        """Write down for the Vagrantfile what this host decides."""
        choices = {
            "boxes": boxes,
            "ports": dict(kept(state_dir)),
            **self.host_choices(environment, boxes, progress),
        }
        (state_dir.rendering / CHOICES).write_text(json.dumps(choices, indent=2) + "\n")

    def _boot(
        self, state_dir: StateDir, progress: Progress, meant: Collection[str], *, again: Collection[str]
    ) -> None:
        with progress.step("booting"), self._conversation(state_dir, progress) as vagrant:
            for machine in again:
                vagrant.reload(vm_name=machine, provision=False)
            names: Collection[str | None] = meant or (None,)
            for name in names:
                vagrant.up(vm_name=name, provision=False, provider=self.name)

    def _clear(self, environment: Environment, state_dir: StateDir, progress: Progress) -> None:
        """Let Vagrant remove what is left of the machines that are no more."""
        gone = [m.name for m in environment.machines if self.state(state_dir, m.name) == "absent"]
        with self._conversation(state_dir, progress) as vagrant:
            for machine in gone:
                vagrant.destroy(vm_name=machine)

    def silence(self, state_dir: StateDir, machine: str) -> Silence:
        """One whose console is still being written to is on its way."""
        console = state_dir.folder / CONSOLE.format(machine=machine)
        try:
            begins = time.time() - console.stat().st_mtime < STARTING_WITHIN
        except OSError:
            begins = False
        return "starting" if begins else "not answering"

    def boxes(
        self,
        environment: Environment,
        state_dir: StateDir,
        progress: Progress,
        rendering: Rendering,
    ) -> Mapping[str, Mapping[str, str | None]]:
        """The box of each machine by its name: the one that it was made of, or one had or made now."""
        boxes: dict[str, Mapping[str, str | None]] = {}
        former = _chosen_boxes(state_dir)
        for each in environment.machines:
            if each.name in former and self.state(state_dir, each.name) != "absent":
                boxes[each.name] = former[each.name]
                continue
            box = ensure_box(each, self.name, state_dir, rendering, progress, rebuild=False)
            boxes[each.name] = {"name": box.name, "url": box.url}
            gone = box_refs.add(state_dir, self.name, each.name, box)
            if gone:
                self._forget_box(gone)
        return boxes

    def _forget_box(self, box: str) -> None:
        self.forget_copies(box)
        forget_box(box, self.name)

    def forget_copies(self, box: str) -> None:
        """Remove what the hypervisor keeps of a box, and Vagrant leaves there: here, nothing."""

    def stop(self, state_dir: StateDir, progress: Progress, machines: Collection[str]) -> None:
        """`vagrant halt`."""
        with self._conversation(state_dir, progress) as vagrant:
            for machine in machines:
                vagrant.halt(vm_name=machine)

    def why_no_snapshot(self, state_dir: StateDir, machine: str) -> str | None:  # noqa: ARG002 - for those that have a reason
        """Why the provider cannot keep this machine in a snapshot; None if it can."""
        return None

    def snapshot_key(self, state_dir: StateDir, machine: str) -> str:
        """The hypervisor's identity of the machine: its snapshots are in it."""
        if reason := self.why_no_snapshot(state_dir, machine):
            raise UsageError(f"machine {machine} cannot be kept in a snapshot: {reason}")
        return str(self.identity(state_dir, machine))

    def save_snapshot(self, state_dir: StateDir, machine: str, folder: Path) -> None:
        """`vagrant snapshot save`."""
        self._snapshot(state_dir, ["save", "--force", machine, folder.parent.name])

    def restore_snapshot(self, state_dir: StateDir, machine: str, folder: Path) -> None:
        """`vagrant snapshot restore`; its clock is as it was."""
        self._snapshot(state_dir, ["restore", "--no-provision", machine, folder.parent.name])
        now = ["date", "--set", f"@{time.time():.3f}"]
        process.run(ssh.command(state_dir, machine, now), check=False)  # it runs, even with a wrong clock

    def restore_disks(self, state_dir: StateDir, machine: str, folder: Path, *, own: bool) -> None:
        """The hypervisor has them: it restores all of the machine, or none once that is removed."""
        if own and self.state(state_dir, machine) != "absent":
            self.restore_snapshot(state_dir, machine, folder)

    def delete_snapshot(self, state_dir: StateDir, machine: str, folder: Path) -> None:
        """`vagrant snapshot delete`."""
        if self.state(state_dir, machine) != "absent":
            with suppress(EnvironmentFailed):  # the hypervisor may have none, and `list` must not show it
                self._snapshot(state_dir, ["delete", machine, folder.parent.name])

    def _snapshot(self, state_dir: StateDir, words: Sequence[str]) -> None:
        with self._conversation(state_dir, Silent()) as vagrant:
            vagrant._call_vagrant_command(["snapshot", *words])  # noqa: SLF001 - its own verbs take no machine

    def remove(
        self, state_dir: StateDir, progress: Progress, machines: Collection[str] | None = None
    ) -> None:
        """`vagrant destroy`, which takes half-made machines too."""
        if not (state_dir.rendering / ".vagrant").is_dir():
            return
        with self._conversation(state_dir, progress) as vagrant:
            for machine in machines if machines is not None else [None]:
                vagrant.destroy(vm_name=machine)

    def built(self, state_dir: StateDir) -> tuple[str, ...]:
        """Boxes of images."""
        return tuple(f"the box {name}" for name in box_refs.boxes_of(state_dir, self.name))

    def forget(self, state_dir: StateDir) -> None:
        """Throw away boxes made of images that nobody else uses; those of bases stay."""
        for box in box_refs.drop_all(state_dir, self.name):
            self._forget_box(box)

    @property
    def store(self) -> ArtifactStore:
        """That of boxes, which all providers share."""
        return BOXES

    def artifacts(self, state_dir: StateDir) -> tuple[str, ...]:
        """The boxes of images."""
        return box_refs.artifacts_of(state_dir, self.name)

    def forget_artifact(self, artifact: Artifact) -> None:
        """What Vagrant and the hypervisor have of a box."""
        if (name := box_name(artifact)) is not None:
            self._forget_box(name)

    def refuse_strangers(self, environment: Environment, state_dir: StateDir) -> None:
        """Raise EnvironmentFailed if something of the hypervisor's is called as what is to be made."""

    def remember_volumes(self, environment: Environment, state_dir: StateDir) -> None:
        """Note the volumes that are about to be made, where nothing else says whose they are."""

    def console_lines(self, state_dir: StateDir, machine: str) -> Sequence[str]:
        """The last lines that the machine wrote to its serial console."""
        text = console_text(state_dir.folder / CONSOLE.format(machine=machine))
        return text.splitlines()[-EVIDENCE_LINES:]

    @contextmanager
    def _conversation(self, state_dir: StateDir, progress: Progress) -> Iterator[Any]:
        """Vagrant's own words go to the log and past the eye; its last ones into the error."""
        state_dir.make()
        with state_dir.log.open("ab", buffering=0) as log:

            def each_line(line: str) -> None:
                with suppress(OSError):  # a full disk is no reason to leave a machine there
                    log.write(f"{line}\n".encode())
                progress.line(line)

            listener = Listener(each_line, state_dir, progress)
            try:
                yield _vagrant(state_dir, listener.hear)
            except process.ProcessFailed as error:
                raise self.explain(listener, state_dir) from error
            finally:
                listener.rest()

    def explain(self, listener: Listener, state_dir: StateDir) -> ProvisionError:
        """The error that Vagrant's last words stand for."""
        texts = [console_text(path) for path in consoles(state_dir)]
        console = [line for text in texts for line in text.splitlines()[-EVIDENCE_LINES:]]
        if listener.given_up == "hangs":
            return Hangs(
                f"the machine's kernel did not start within {KERNEL_PATIENCE:g} s",
                evidence=shown(tuple(console)),
                hint=INSTEAD,
            )
        if listener.given_up:
            return EnvironmentFailed(
                f"the machine got no address within {ADDRESS_PATIENCE:g} s",
                evidence=shown(tuple(console[-EVIDENCE_LINES:])),
                hint="the console output above shows how far it got, and `virsh net-list` whether its"
                f" network is up; the machine was removed. Full log: {state_dir.log}",
            )
        return fault(listener.last, self.name, console, str(state_dir.log))


def _chosen_boxes(state_dir: StateDir) -> Mapping[str, Mapping[str, str | None]]:
    """The boxes that were chosen at the last start."""
    try:
        return cast(
            "Mapping[str, Mapping[str, str | None]]",
            json.loads((state_dir.rendering / CHOICES).read_text())["boxes"],
        )
    except (OSError, ValueError, KeyError):
        return {}


def plugin_installed(name: str) -> bool:
    """Whether Vagrant has a plugin: its user's, or one that a package brought; Ruby is not asked."""
    home = Path(os.environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d")
    try:
        own = json.loads((home / "plugins.json").read_text()).get("installed", {})
    except (OSError, ValueError):
        own = {}
    return name in own or (Path("/usr/share/vagrant-plugins/plugins.d") / f"{name}.json").exists()


def _vagrant(state_dir: StateDir, each_line: Callable[[str], None]) -> Any:
    """Vagrant in the rendering's folder; each line that it prints is handed on."""
    import vagrant

    def lines() -> Any:
        return _lines_to(each_line)

    variables = process.environment({"VAGRANT_NO_COLOR": "1", "VAGRANT_CHECKPOINT_DISABLE": "1"})
    make: Any = vagrant.Vagrant
    return make(root=str(state_dir.rendering), env=variables, out_cm=lines, err_cm=lines)


@contextmanager
def _lines_to(each_line: Callable[[str], None]) -> Iterator[IO[bytes]]:
    """A file that a child may write to, whose lines are handed on as they come."""
    reading, writing = os.pipe()

    def read() -> None:
        with os.fdopen(reading, errors="replace") as stream:
            for line in stream:
                each_line(line.rstrip("\n"))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        with os.fdopen(writing, "wb") as stream:
            yield stream
    finally:
        reader.join(timeout=10)


def _ignore(_line: str) -> None:
    pass
