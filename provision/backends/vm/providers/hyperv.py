"""Hyper-V, on Windows."""

from __future__ import annotations

from provision import process
from provision.backends.base import Finding
from provision.backends.vm.vagrant import VagrantProvider


class HyperV(VagrantProvider):
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
            hint="" if there else "it is a part of Windows: turn the feature Hyper-V on",
        )


PROVIDER = HyperV()
