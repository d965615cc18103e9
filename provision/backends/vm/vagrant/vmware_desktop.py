"""VMware Workstation or Fusion."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process
from provision.backends.base import Finding
from provision.backends.vm.vagrant.driver import VagrantDriver, plugin_installed

if TYPE_CHECKING:
    from provision.backends.vm.driver import GuestState
    from provision.state import StateDir


class VMware(VagrantDriver):
    """Machines of VMware Workstation or Fusion."""

    name = "vmware_desktop"
    live_folders = "vmware"

    def hypervisor(self) -> Finding:
        """Its own command is there, and Vagrant has its plugin."""
        if process.find("vmrun") is None:
            detail, hint = (
                "no vmrun command",
                "install it, then: vagrant plugin install vagrant-vmware-desktop",
            )
        elif not plugin_installed("vagrant-vmware-desktop"):
            detail, hint = "no plugin vagrant-vmware-desktop", "vagrant plugin install vagrant-vmware-desktop"
        else:
            detail, hint = "found", ""
        return Finding(subject=self.name, usable=not hint, detail=detail, hint=hint)

    def state_of(self, identity: str, state_dir: StateDir, machine: str) -> GuestState:  # noqa: ARG002 - the contract's words
        """As the hypervisor says; one removed by hand is absent."""
        return state_among(process.run(["vmrun", "list"]).stdout, Path(identity))


def state_among(listed: str, file: Path) -> GuestState:
    """The state of the machine of a .vmx file, by the running ones that VMware lists, a path each."""
    if not file.is_file():
        return "absent"
    running = {os.path.realpath(line.strip()) for line in listed.splitlines()[1:] if line.strip()}
    return "running" if os.path.realpath(file) in running else "stopped"


DRIVER = VMware()
