"""libvirt, through vagrant-libvirt: KVM where a guest really boots with it, else emulation."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provision import process
from provision.backends.base import Finding
from provision.backends.vm import acceleration
from provision.backends.vm.architecture import AARCH64, architecture
from provision.backends.vm.disks import disks
from provision.backends.vm.guest import ssh
from provision.backends.vm.vagrant import port_forwarding
from provision.backends.vm.vagrant.boxes import box_kernel
from provision.backends.vm.vagrant.driver import INSTALL, VagrantDriver, plugin_installed
from provision.errors import EnvironmentFailed, HostLacks
from provision.model import Usage
from provision.quick_dataclasses import dataclass
from provision.records import DamagedRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.backends.vm.acceleration import Accelerator
    from provision.backends.vm.driver import GuestState, Silence
    from provision.model import Environment, Machine, PortStatus
    from provision.process import Completed
    from provision.progress import Progress
    from provision.state import StateDir

VARIABLE = "LIBVIRT_DEFAULT_URI"
SYSTEM = "qemu:///system"
NO_SUCH = ("domain not found", "failed to get domain")
POOL = "default"
PAUSED = "paused"
RUNS = ("running", PAUSED)
KVM = {"driver": "kvm", "cpu_mode": "host-passthrough"}
EMULATED = {"driver": "qemu", "cpu_mode": "custom"}
# A box boots by itself: on x86_64 from the BIOS that QEMU brings, on aarch64 from UEFI.
LOADER = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
FIRMWARE = {"machine_arch": AARCH64.name, "machine_type": AARCH64.machine, "loader": LOADER}

VOLUMES = "volumes"
LOOKS_FOR = 1.0  # seconds


@dataclass(frozen=True, kw_only=True)
class VolumesRecord:
    """What was made in libvirt's pool for an environment: volumes and machines' own disks, by name."""

    names: tuple[str, ...]
    roots: tuple[str, ...] = ()


class Libvirt(VagrantDriver):
    """Machines of the system's libvirt, live folders through virtiofs, volumes in its pool."""

    name = "libvirt"
    live_folders = "virtiofs"
    forwards = frozenset({"tcp"})
    forwards_ipv6 = True  # by ssh
    forwards_by_number = True  # Vagrant notes each ssh by the number alone
    tags_by_source = True
    joins_private_network = True
    accelerators = frozenset({"kvm", "emulation"})

    def hypervisor(self) -> Finding:
        """Libvirtd answers, and Vagrant has its plugin."""
        if other := other_host(_address()):
            return Finding(
                subject=self.name,
                usable=False,
                detail=f"${VARIABLE} is on {other}, which is used only by ssh and for `provider: libvirt`",
                hint=f"set it to qemu+ssh://USER@{other}/system, and in the spec"
                f" `backends: {{vm: {{provider: libvirt}}}}`; or unset {VARIABLE}",
            )
        if process.find("virsh") is None:
            return Finding(subject=self.name, usable=False, detail="no virsh command", hint=INSTALL)
        if not plugin_installed("vagrant-libvirt"):
            return Finding(subject=self.name, usable=False, detail="no plugin vagrant-libvirt", hint=INSTALL)
        try:
            version = _virsh("version")
        except HostLacks as error:
            return Finding(subject=self.name, usable=False, detail=error.message, hint=error.hint)
        if version.code != 0:
            return Finding(
                subject=self.name,
                usable=False,
                detail=(version.stderr.strip().splitlines() or ["libvirtd does not answer"])[-1],
                hint="start libvirtd (systemctl start libvirtd), or run scripts/host-setup vm",
            )
        detail = acceleration.describe()
        if architecture() is AARCH64:
            if not Path(LOADER).is_file():
                hint = "apt-get install qemu-efi-aarch64, or run scripts/host-setup vm"
                return Finding(subject=self.name, usable=False, detail=f"no firmware {LOADER}", hint=hint)
            detail += "; untested on aarch64, where the spec must name a box"
        return Finding(subject=self.name, usable=True, detail=detail)

    def elsewhere(self) -> tuple[str, Mapping[str, str]]:
        """The host of LIBVIRT_DEFAULT_URI, if it is another one and ssh reaches it."""
        return elsewhere(_address())

    def host_choices(
        self, environment: Environment, boxes: Mapping[str, Mapping[str, str | None]], progress: Progress
    ) -> Mapping[str, object]:
        """How each machine is run on this host: by KVM where that boots its box's kernel."""
        choices = {}
        for machine in environment.machines:
            box = boxes[machine.name]
            kernel = box_kernel(str(box["name"]), box["url"], self.name)
            kind = acceleration.choose(machine, kernel, progress, called=str(box["name"]))
            choices[machine.name] = processor(kind)
        return {"processors": choices}

    def give_up_acceleration(
        self, environment: Environment, boxes: Mapping[str, Mapping[str, str | None]]
    ) -> bool:
        """KVM is not tried again with the kernels of these boxes."""
        kvm = [each for each in environment.machines if acceleration.wanted(each) == "auto"]
        for machine in kvm:
            box = boxes[machine.name]
            kernel = box_kernel(str(box["name"]), box["url"], self.name)
            acceleration.remember("kvm", kernel, boots=False, called=str(box["name"]))
        return bool(kvm)

    def mount(self, tag: str, *, read_only: bool) -> str | None:
        """Virtiofs mounts by tag."""
        return f"mount -t virtiofs {'-o ro ' if read_only else ''}{tag}"

    def state_of(self, identity: str, state_dir: StateDir, machine: str) -> GuestState:  # noqa: ARG002 - the contract's words
        """As libvirtd says; one removed by hand is absent, one that nobody can ask about is not."""
        domain_state = _virsh("domstate", identity)
        if domain_state.code == 0:
            return "running" if domain_state.stdout.strip() in RUNS else "stopped"
        if any(words in domain_state.stderr.lower() for words in NO_SUCH):
            return "absent"
        raise HostLacks(
            "libvirtd does not report whether the machine is running",
            evidence=domain_state.stderr.strip().splitlines(),
            hint="systemctl start libvirtd, or scripts/host-setup vm; running machines are not lost",
        )

    def silence(self, state_dir: StateDir, machine: str) -> Silence:
        """As libvirtd says, where the machine is paused."""
        identity = self.identity(state_dir, machine)
        if identity and _virsh("domstate", identity).stdout.strip() == PAUSED:
            return "paused"
        return super().silence(state_dir, machine)

    def pause(self, state_dir: StateDir, machine: str) -> None:
        """`virsh suspend`."""
        self._tell(state_dir, machine, "suspend")

    def unpause(self, state_dir: StateDir, machine: str) -> None:
        """`virsh resume`; its clock stood still."""
        self._tell(state_dir, machine, "resume")
        now = ["date", "--set", f"@{time.time():.3f}"]
        process.run(ssh.command(state_dir, machine, now), check=False)  # it runs, even with a wrong clock

    def why_no_snapshot(self, state_dir: StateDir, machine: str) -> str | None:
        """A memory that a host's daemon shares cannot be saved."""
        described = _virsh("dumpxml", str(self.identity(state_dir, machine)))
        if "type='virtiofs'" in described.stdout:
            return (
                "libvirt saves no machine with live folders (virtiofs);"
                " `backends: {vm: {sync: rsync}}` in the spec has them copied"
            )
        return None

    def usage(self, state_dir: StateDir, machine: str) -> Usage | None:
        """As `virsh domstats` says of its QEMU and its disks, looked at twice."""
        identity = self.identity(state_dir, machine)
        if identity is None:
            return None
        before, begun = _stats(identity), time.monotonic()
        time.sleep(LOOKS_FOR)
        after, seconds = _stats(identity), time.monotonic() - begun
        return usage_of(machine, before, after, seconds)

    def disk_bytes(self, state_dir: StateDir, machine: str) -> int | None:
        """What the image over its box takes."""
        identity = self.identity(state_dir, machine)
        return None if identity is None else _stats(identity).get("block.0.physical")

    def _tell(self, state_dir: StateDir, machine: str, word: str) -> None:
        done = _virsh(word, str(self.identity(state_dir, machine)))
        if done.code != 0:
            raise EnvironmentFailed(
                f"libvirtd did not {word} machine {machine}", evidence=done.stderr.strip().splitlines()
            )

    def release(self, state_dir: StateDir, machine: str) -> None:
        """End the ssh processes that forwarded its ports: they outlive a machine that died."""
        port_forwarding.stop(self._pids(state_dir, machine))

    def is_forwarded(self, state_dir: StateDir, machine: str, ports: Sequence[PortStatus]) -> bool:
        """Whether an ssh of ours listens on each port."""
        return not port_forwarding.lost(self._pids(state_dir, machine), ports)

    def forward(self, state_dir: StateDir, machine: str, ports: Sequence[PortStatus]) -> None:
        """Forward what Vagrant, which is silent about it, did not, or what has died since."""
        configuration = state_dir.folder / ssh.CONFIGURATION
        address = ssh.address(state_dir, machine) or "localhost"
        port_forwarding.ensure(self._pids(state_dir, machine), ports, configuration, machine, address)

    def _pids(self, state_dir: StateDir, machine: str) -> Path:
        return state_dir.rendering / ".vagrant" / "machines" / machine / self.name / "pids"

    def forget_copies(self, box: str) -> None:
        """Delete from libvirt's pool what vagrant-libvirt brought there."""
        prefix = f"{box.replace('/', '-VAGRANTSLASH-')}_vagrant_box_image_"
        for name in _virsh("vol-list", "--pool", POOL).stdout.split():
            if name.startswith(prefix):
                _virsh("vol-delete", "--pool", POOL, name)

    def refuse_strangers(self, environment: Environment, state_dir: StateDir) -> None:
        """Ask libvirtd for domains and volumes of these names that were made elsewhere."""
        pool, made = _pool(), self._recorded(state_dir)
        strangers = []
        for machine in environment.machines:
            name = f"{environment.unique_name}-{machine.name}"
            if self.state(state_dir, machine.name) == "absent":
                described = _virsh("desc", name)
                if described.code == 0:
                    strangers.append(f"the libvirt domain {name} ({described.stdout.strip()})")
                disk = root(environment, machine)
                if disk in pool and disk not in made.roots:
                    strangers.append(f"the disk {disk} in libvirt's pool {POOL}")
            strangers += [
                f"the volume {volume.name}.qcow2 in libvirt's pool {POOL}"
                for volume in disks(environment, machine)
                if f"{volume.name}.qcow2" in pool and volume.name not in made.names
            ]
        if strangers:
            raise EnvironmentFailed(
                "a name that this environment needs is taken by something else",
                evidence=strangers,
                hint="remove it if it is yours (`virsh undefine`, `virsh vol-delete`),"
                " or give this environment another name: `--name`",
            )

    def remember_volumes(self, environment: Environment, state_dir: StateDir) -> None:
        """Note those that are about to be made: libvirt keeps no word of whose a volume is."""
        wanted = [disk.name for each in environment.machines for disk in disks(environment, each)]
        names = tuple(dict.fromkeys((*self.volumes(state_dir), *wanted)))
        own = tuple(root(environment, machine) for machine in environment.machines)
        state_dir.save(VOLUMES, VolumesRecord(names=names, roots=own))

    def volumes(self, state_dir: StateDir) -> tuple[str, ...]:
        """Those in libvirt's pool that were made for it."""
        pool = _pool()
        return tuple(name for name in self._recorded(state_dir).names if f"{name}.qcow2" in pool)

    def _recorded(self, state_dir: StateDir) -> VolumesRecord:
        """What the record says; where it is damaged, what the environment's id in their names says."""
        try:
            return state_dir.load(VOLUMES, VolumesRecord) or VolumesRecord(names=())
        except DamagedRecord:
            unique, pool = state_dir.unique_name, _pool()
            return VolumesRecord(
                names=tuple(n.removesuffix(".qcow2") for n in pool if n.startswith(f"{unique}.")),
                roots=tuple(n for n in pool if n.startswith(f"{unique}-") and n.endswith(".img")),
            )

    def remove_volumes(self, state_dir: StateDir) -> None:
        """Delete them from libvirt's pool, where `vagrant destroy` leaves them."""
        for name in self.volumes(state_dir):
            _virsh("vol-delete", "--pool", POOL, f"{name}.qcow2")
        state_dir.forget(VOLUMES)


def root(environment: Environment, machine: Machine) -> str:
    """The disk that vagrant-libvirt makes for a machine itself."""
    return f"{environment.unique_name}-{machine.name}.img"


def _pool() -> tuple[str, ...]:
    """The names of all volumes in the pool; none where libvirt is not here, or does not answer."""
    if process.find("virsh") is None:
        return ()
    return tuple(line.split()[0] for line in _virsh("vol-list", "--pool", POOL).stdout.splitlines() if line)


def processor(kind: Accelerator) -> Mapping[str, str]:
    """The options of vagrant-libvirt for a machine that runs with this accelerator here."""
    arm = architecture() is AARCH64
    driver = KVM
    if kind == "emulation":
        driver = {**EMULATED, "cpu_model": AARCH64.emulated if arm else "qemu64"}
    return {**driver, **(FIRMWARE if arm else {})}


def usage_of(
    machine: str, before: Mapping[str, int], after: Mapping[str, int], seconds: float
) -> Usage | None:
    """What a machine took between two looks at its numbers; None where it did not run. Pure."""
    if "cpu.time" not in before or "balloon.rss" not in after:
        return None
    return Usage(
        machine=machine,
        cpu=max(0.0, 100 * (after["cpu.time"] - before["cpu.time"]) / 1e9 / seconds),
        memory=after["balloon.rss"] * 1024,
        limit=after["balloon.maximum"] * 1024 if "balloon.maximum" in after else None,
        disk=after.get("block.0.physical"),
    )


def numbers(text: str) -> Mapping[str, int]:
    """The numbers among the lines of `virsh domstats`. Pure."""
    pairs = (line.strip().partition("=") for line in text.splitlines())
    return {name: int(value) for name, _, value in pairs if value.isdigit()}


def _stats(identity: str) -> Mapping[str, int]:
    """CPU time in nanoseconds, memory in KiB, disks in bytes; none of a machine that is gone."""
    return numbers(_virsh("domstats", identity, "--cpu-total", "--balloon", "--block").stdout)


def _virsh(*words: str) -> Completed:
    """Ask libvirtd, the same one as vagrant-libvirt asks."""
    return process.ask(["virsh", "--quiet", "--connect", _address(), *words], env={"LC_ALL": "C"})


def _address() -> str:
    return os.environ.get(VARIABLE) or SYSTEM


def elsewhere(address: str) -> tuple[str, Mapping[str, str]]:
    """Where ssh reaches the host of an address such as qemu+ssh://me@big/system, and what is set there.

    Both are empty where that is this host, or is not reached by ssh. Pure.
    """
    parts = urlsplit(address)
    scheme, plus, transport = parts.scheme.partition("+")
    if not plus or transport != "ssh" or not other_host(address):
        return "", {}
    return f"ssh://{parts.netloc}", {VARIABLE: f"{scheme}://{parts.path}"}


def other_host(address: str) -> str:
    """The host in a libvirt address such as qemu+ssh://me@big/system; empty where that is this one. Pure."""
    host = urlsplit(address).hostname or ""
    return "" if host in ("localhost", "127.0.0.1", "::1") else host


DRIVER = Libvirt()
