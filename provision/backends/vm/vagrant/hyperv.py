"""Hyper-V, on Windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import process
from provision.backends.base import Finding
from provision.backends.vm.vagrant.driver import VagrantDriver

if TYPE_CHECKING:
    from provision.backends.vm.driver import GuestState
    from provision.state import StateDir

LISTING = 'Hyper-V\\Get-VM | ForEach-Object { "$($_.Id) $($_.State)" }'


class HyperV(VagrantDriver):
    """Machines of Hyper-V, on Windows."""

    name = "hyperv"
    live_folders = "smb"
    forwards: frozenset[str] = frozenset()  # its plugin overlooks every network that is asked for

    def hypervisor(self) -> Finding:
        """Its own command is there."""
        there = process.find("powershell.exe") is not None
        return Finding(
            subject=self.name,
            usable=there,
            detail="found" if there else "no powershell.exe command",
            hint="" if there else "turn on the Windows feature Hyper-V",
        )

    def state_of(self, identity: str, state_dir: StateDir, machine: str) -> GuestState:  # noqa: ARG002 - the contract's words
        """As the hypervisor says; one removed by hand is absent."""
        listing = process.run(["powershell.exe", "-NoProfile", "-NonInteractive", "-Command", LISTING])
        return state_among(listing.stdout, identity)


def state_among(listed: str, identity: str) -> GuestState:
    """The state of a machine among all that Hyper-V lists, a line each: `ID STATE`."""
    for line in listed.splitlines():
        known, _, state = line.strip().partition(" ")
        if known.lower() == identity.lower():
            return "running" if state.strip() == "Running" else "stopped"
    return "absent"


DRIVER = HyperV()
