"""Parallels Desktop, on macOS."""

from __future__ import annotations

from provision import process
from provision.backends.base import Finding
from provision.backends.vm.vagrant import VagrantProvider, plugin_installed


class Parallels(VagrantProvider):
    """Machines of Parallels Desktop, on macOS."""

    name = "parallels"
    live_folders = "parallels"

    def hypervisor(self) -> Finding:
        """Its own command is there, and Vagrant has its plugin."""
        if process.find("prlctl") is None:
            detail, hint = "no prlctl command", "install it, then: vagrant plugin install vagrant-parallels"
        elif not plugin_installed("vagrant-parallels"):
            detail, hint = "no plugin vagrant-parallels", "vagrant plugin install vagrant-parallels"
        else:
            detail, hint = "found", ""
        return Finding(subject=self.name, usable=not hint, detail=detail, hint=hint)


PROVIDER = Parallels()
