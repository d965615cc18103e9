"""VirtualBox: linked clones, NAT forwards, shared folders."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process
from provision.backends.base import Finding
from provision.backends.vm.boxes import folders
from provision.backends.vm.vagrant import VagrantProvider
from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from provision.backends.vm.provider import GuestState
    from provision.model import Environment
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
        said = process.ask(["VBoxManage", "--version"])
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

    def refuse_strangers(self, environment: Environment, state_dir: StateDir) -> None:
        """Ask VBoxManage for machines of these names that were made elsewhere."""
        for machine in environment.machines:
            name = f"{environment.unique_name}-{machine.name}"
            if self.state(state_dir, machine.name) != "absent":
                continue
            asked = process.run(["VBoxManage", "showvminfo", name, "--machinereadable"], check=False)
            if asked.code == 0:
                folder = re.search(r'CfgFile="(.*)"', asked.stdout)
                raise EnvironmentFailed(
                    f"there is a machine {name} in VirtualBox that is not this environment's",
                    evidence=[folder[1]] if folder else [],
                    hint=f"`VBoxManage unregistervm {name} --delete` if it is yours, or give this environment"
                    " another name: `--name`",
                )

    def volumes(self, state_dir: StateDir) -> tuple[str, ...]:
        """Files beside the rendering."""
        return tuple(sorted(path.stem for path in state_dir.folder.glob("*.vdi")))

    def remove_volumes(self, state_dir: StateDir) -> None:
        """Have VirtualBox forget them, then remove the files."""
        for name in self.volumes(state_dir):
            file = state_dir.folder / f"{name}.vdi"
            if process.find("VBoxManage"):
                process.run(["VBoxManage", "closemedium", "disk", str(file)], check=False)
            file.unlink(missing_ok=True)

    def state_of(self, identity: str, state_dir: StateDir, machine: str) -> GuestState:  # noqa: ARG002 - the contract's words
        """As VBoxManage says; one removed by hand is absent."""
        asked = process.run(["VBoxManage", "showvminfo", identity, "--machinereadable"], check=False)
        if asked.code != 0:
            return "absent"
        return "running" if 'VMState="running"' in asked.stdout else "stopped"


PROVIDER = VirtualBox()
