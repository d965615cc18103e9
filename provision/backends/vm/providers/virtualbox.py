"""VirtualBox: linked clones, NAT forwards, shared folders."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process
from provision.backends.base import Finding
from provision.backends.vm.boxes import folders
from provision.backends.vm.vagrant import VagrantProvider

if TYPE_CHECKING:
    from provision.backends.vm.provider import GuestState
    from provision.state import StateDir

DRIVER = Path("/dev/vboxdrv")


class VirtualBox(VagrantProvider):
    """Machines of VBoxManage."""

    name = "virtualbox"
    live_folders = "vboxsf"
    keeps_volumes = True
    joins = True

    def hypervisor(self) -> Finding:
        """VBoxManage is there, and its kernel driver."""
        hint = "install VirtualBox from virtualbox.org or your distribution"
        if process.find("VBoxManage") is None:
            return Finding(subject=self.name, usable=False, detail="no VBoxManage command", hint=hint)
        said = process.run(["VBoxManage", "--version"], check=False)
        lines = (said.stdout + said.stderr).strip().splitlines() or ["VBoxManage says nothing"]
        # Only some distributions' VBoxManage says itself that machines cannot start.
        if sys.platform == "linux" and not DRIVER.exists():
            return Finding(
                subject=self.name,
                usable=False,
                detail=f"VBoxManage {lines[-1]}, but {DRIVER} is missing",
                hint="load its kernel driver: modprobe vboxdrv, after /sbin/vboxconfig"
                " or your distribution's virtualbox-dkms has made it",
            )
        return Finding(subject=self.name, usable=said.code == 0, detail=lines[-1])

    def mount(self, tag: str, *, read_only: bool) -> str | None:
        """Vboxsf mounts by the share's name, as the workspace's user."""
        return f"mount -t vboxsf -o {'ro' if read_only else 'rw'} {tag}"

    def forget_copies(self, box: str) -> None:
        """Remove the machine that Vagrant keeps of a box, to clone it."""
        for folder in folders(box, self.name):
            with suppress(OSError):
                master = (folder / "master_id").read_text().strip()
                process.run(["VBoxManage", "unregistervm", master, "--delete"], check=False)

    def state_of(self, identity: str, state_dir: StateDir, machine: str) -> GuestState:  # noqa: ARG002 - the contract's words
        """As VBoxManage says; one removed by hand is absent."""
        asked = process.run(["VBoxManage", "showvminfo", identity, "--machinereadable"], check=False)
        if asked.code != 0:
            return "absent"
        return "running" if 'VMState="running"' in asked.stdout else "stopped"


PROVIDER = VirtualBox()
