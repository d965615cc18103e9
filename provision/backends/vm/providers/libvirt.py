"""libvirt, through vagrant-libvirt: KVM where a guest really boots with it, else emulation."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from provision import process
from provision.backends.base import Finding
from provision.backends.vm import connection, forwards
from provision.backends.vm.acceleration import accelerated
from provision.backends.vm.vagrant import INSTALL, VagrantProvider, plugin_installed
from provision.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provision.backends.vm.provider import Disk, GuestState
    from provision.model import PortStatus
    from provision.process import Completed
    from provision.progress import Progress
    from provision.state import StateDir

SYSTEM = "qemu:///system"
NO_SUCH = ("domain not found", "failed to get domain")
POOL = "default"


class Libvirt(VagrantProvider):
    """Machines of the system's libvirt, live folders through virtiofs, volumes in its pool."""

    name = "libvirt"
    live_folders = "virtiofs"
    forwards = frozenset({"tcp"})
    keeps_volumes = True
    joins = True

    def hypervisor(self) -> Finding:
        """Libvirtd answers, and Vagrant has its plugin."""
        if process.find("virsh") is None:
            return Finding(subject=self.name, usable=False, detail="no virsh command", hint=INSTALL)
        if not plugin_installed("vagrant-libvirt"):
            return Finding(subject=self.name, usable=False, detail="no plugin vagrant-libvirt", hint=INSTALL)
        asked = _virsh("version")
        if asked.code != 0:
            return Finding(
                subject=self.name,
                usable=False,
                detail=(asked.stderr.strip().splitlines() or ["libvirtd does not answer"])[-1],
                hint="start libvirtd (systemctl start libvirtd), or run scripts/host-setup vm",
            )
        kind = "KVM" if accelerated() else "emulation: slow, no guest boots with KVM here"
        return Finding(subject=self.name, usable=True, detail=kind)

    def host_choices(self, progress: Progress) -> Mapping[str, object]:
        """How guests are run on this host, found by trying."""
        if accelerated():
            return {"driver": "kvm", "cpu_mode": "host-passthrough"}
        progress.note("no guest boots with KVM on this host: the machine is emulated, which is slow")
        return {"driver": "qemu", "cpu_mode": "custom", "cpu_model": "qemu64"}

    def mount(self, tag: str, *, read_only: bool) -> str | None:
        """Virtiofs mounts by tag."""
        return f"mount -t virtiofs {'-o ro ' if read_only else ''}{tag}"

    def state_of(self, identity: str, state_dir: StateDir, machine: str) -> GuestState:  # noqa: ARG002 - the contract's words
        """As libvirtd says; one removed by hand is absent, one that nobody can ask about is not."""
        asked = _virsh("domstate", identity)
        if asked.code == 0:
            return "running" if asked.stdout.strip() == "running" else "stopped"
        if any(words in asked.stderr.lower() for words in NO_SUCH):
            return "absent"
        raise HostLacks(
            "libvirtd does not say whether the machine runs",
            evidence=asked.stderr.strip().splitlines(),
            hint="systemctl start libvirtd, or scripts/host-setup vm; running machines are not lost",
        )

    def release(self, state_dir: StateDir, machine: str) -> None:
        """End the ssh processes that forwarded its ports: they outlive a machine that died."""
        forwards.stop(self._pids(state_dir, machine))

    def is_forwarded(self, state_dir: StateDir, machine: str, ports: Sequence[PortStatus]) -> bool:
        """Whether an ssh of ours listens on each port."""
        return not forwards.lost(self._pids(state_dir, machine), ports)

    def forward(self, state_dir: StateDir, machine: str, ports: Sequence[PortStatus]) -> None:
        """Forward what Vagrant, which is silent about it, did not, or what has died since."""
        configuration = state_dir.folder / connection.CONFIGURATION
        address = connection.address(state_dir, machine) or "localhost"
        forwards.ensure(self._pids(state_dir, machine), ports, configuration, machine, address)

    def _pids(self, state_dir: StateDir, machine: str) -> Path:
        return state_dir.rendering / ".vagrant" / "machines" / machine / self.name / "pids"

    def forget_copies(self, box: str) -> None:
        """Delete from libvirt's pool what vagrant-libvirt brought there."""
        prefix = f"{box.replace('/', '-VAGRANTSLASH-')}_vagrant_box_image_"
        for name in _virsh("vol-list", "--pool", POOL).stdout.split():
            if name.startswith(prefix):
                _virsh("vol-delete", "--pool", POOL, name)

    def remove_volume(self, state_dir: StateDir, disk: Disk) -> None:  # noqa: ARG002 - the contract's words
        """Delete it from libvirt's pool, where `vagrant destroy` leaves it."""
        _virsh("vol-delete", "--pool", POOL, disk.file)


def _virsh(*words: str) -> Completed:
    """Ask libvirtd, the same one as vagrant-libvirt asks."""
    address = os.environ.get("LIBVIRT_DEFAULT_URI") or SYSTEM
    return process.run(["virsh", "--quiet", "--connect", address, *words], check=False, env={"LC_ALL": "C"})


PROVIDER = Libvirt()
