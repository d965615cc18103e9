"""VirtualBox: linked clones, NAT forwards, shared folders."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process
from provision.backends.base import Finding
from provision.backends.vm.vagrant.boxes import folders
from provision.backends.vm.vagrant.driver import VagrantDriver
from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.vm.driver import GuestState
    from provision.model import Environment
    from provision.progress import Progress
    from provision.state import StateDir

DEVICE = Path("/dev/vboxdrv")
FIRST_TO_CLOSE = 7  # the first version whose NAT can leave out the host's loopback


class VirtualBox(VagrantDriver):
    """Machines of VBoxManage."""

    name = "virtualbox"
    live_folders = "vboxsf"
    joins_private_network = True

    def hypervisor(self) -> Finding:
        """VBoxManage is there, and its kernel driver."""
        hint = "install VirtualBox from virtualbox.org or your distribution"
        if process.find("VBoxManage") is None:
            return Finding(subject=self.name, usable=False, detail="no VBoxManage command", hint=hint)
        version = process.ask(["VBoxManage", "--version"])
        lines = (version.stdout + version.stderr).strip().splitlines() or ["VBoxManage printed nothing"]
        # Only some distributions' VBoxManage says itself that machines cannot start.
        if sys.platform == "linux" and not DEVICE.exists():
            return Finding(
                subject=self.name,
                usable=False,
                detail=f"VBoxManage {lines[-1]}, but {DEVICE} is missing",
                hint="load its kernel driver: modprobe vboxdrv, after /sbin/vboxconfig"
                " or your distribution's virtualbox-dkms has built it",
            )
        return Finding(subject=self.name, usable=version.code == 0, detail=lines[-1])

    def opens_loopback(self) -> str | None:
        """Its NAT does, before version 7."""
        return None if self._closes_loopback() else "VirtualBox's NAT before version 7 leads there"

    def host_choices(
        self,
        environment: Environment,  # noqa: ARG002 - the contract's words
        boxes: Mapping[str, Mapping[str, str | None]],  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Mapping[str, object]:
        """A box may have opened the loopback to its machines: it is closed where it can be."""
        return {"closes_loopback": self._closes_loopback()}

    def _closes_loopback(self) -> bool:
        if process.find("VBoxManage") is None:
            return False
        lines = process.run(["VBoxManage", "--version"], check=False).stdout.strip().splitlines()
        major = lines[-1].partition(".")[0] if lines else ""
        return major.isdigit() and int(major) >= FIRST_TO_CLOSE

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
            info = process.run(["VBoxManage", "showvminfo", name, "--machinereadable"], check=False)
            if info.code == 0:
                folder = re.search(r'CfgFile="(.*)"', info.stdout)
                raise EnvironmentFailed(
                    f"there is a machine {name} in VirtualBox that is not this environment's",
                    evidence=[folder[1]] if folder else [],
                    hint=f"`VBoxManage unregistervm {name} --delete` if it is yours, or give this environment"
                    " another name: `--name`",
                )

    def why_no_snapshot(self, state_dir: StateDir, machine: str) -> str | None:  # noqa: ARG002 - the contract's words
        """A volume's later content would be a part of the machine, and end with it."""
        if self.volumes(state_dir):
            return "VirtualBox would keep what is written to its volumes afterwards in the machine alone"
        return None

    def volumes(self, state_dir: StateDir) -> tuple[str, ...]:
        """Files next to the rendering."""
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
        info = process.run(["VBoxManage", "showvminfo", identity, "--machinereadable"], check=False)
        if info.code != 0:
            return "absent"
        return "running" if 'VMState="running"' in info.stdout else "stopped"


DRIVER = VirtualBox()
