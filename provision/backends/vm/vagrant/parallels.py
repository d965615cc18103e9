"""Parallels Desktop, on macOS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import process
from provision.backends.base import Finding
from provision.backends.vm.vagrant.driver import VagrantDriver, plugin_installed

if TYPE_CHECKING:
    from provision.backends.vm.driver import GuestState
    from provision.state import StateDir


class Parallels(VagrantDriver):
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

    def state_of(self, identity: str, state_dir: StateDir, machine: str) -> GuestState:  # noqa: ARG002 - the contract's words
        """As the hypervisor says; one removed by hand is absent."""
        listing = process.run(["prlctl", "list", "--all", "--no-header", "--output", "uuid,status"])
        return state_among(listing.stdout, identity)


def state_among(listed: str, identity: str) -> GuestState:
    """The state of a machine among all that Parallels lists, a line each: `{UUID}  STATUS`."""
    for line in listed.splitlines():
        uuid, _, status = line.strip().partition(" ")
        if uuid.strip("{}").lower() == identity.strip("{}").lower():
            return "running" if status.strip() == "running" else "stopped"
    return "absent"


DRIVER = Parallels()
