"""VMware Workstation or Fusion."""

from __future__ import annotations

from provision import process
from provision.backends.base import Finding
from provision.backends.vm.vagrant import VagrantProvider, plugin_installed


class VMware(VagrantProvider):
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


PROVIDER = VMware()
