"""What a machine of QEMU is on each architecture: programs, devices and names, in one table."""

from __future__ import annotations

import os
import platform

from provision.errors import HostLacks
from provision.quick_dataclasses import dataclass

OVERRIDE = "PROVISION_ARCHITECTURE"  # for tests: emulate machines of another architecture


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What differs between machines of two architectures; all else of a machine is the same.

    Args:
        name: as QEMU and the kernel's `uname -m` say it.
        docker: as Docker, Debian and Go say it.
        names: all that `uname -m` and Python say for it on the systems that we know.
        machine: QEMU's machine type.
        emulated: the processor that is emulated where the host's own cannot be used.
        kernel: words for the kernel, the console's name among them.
        devices: words for QEMU beyond those that all machines have.
    """

    name: str
    docker: str
    names: tuple[str, ...]
    machine: str
    emulated: str
    kernel: str
    devices: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """The command that runs a machine of it."""
        return f"qemu-system-{self.name}"

    @property
    def is_native(self) -> bool:
        """Whether this host's own processor runs it, so that KVM or HVF may help."""
        return platform.machine() in self.names


X86_64 = Architecture(
    name="x86_64",
    docker="amd64",
    names=("x86_64", "amd64", "AMD64"),
    machine="pc,usb=off",
    emulated="max",
    kernel="console=ttyS0 no_timer_check",
    devices=("-device", "vmgenid,guid=auto"),
)

# QEMU chooses the interrupt controller itself: the host's with KVM, GICv2 for up to 8 processors else.
# `max` would emulate pointer authentication, which is slow, and LPA2, with which kernels before 5.12
# don't boot. vmgenid needs ACPI, which a machine that boots without firmware doesn't have.
AARCH64 = Architecture(
    name="aarch64",
    docker="arm64",
    names=("aarch64", "arm64", "ARM64"),
    machine="virt",
    emulated="cortex-a72",
    kernel="console=ttyAMA0",
)

ARCHITECTURES = (X86_64, AARCH64)


def architecture() -> Architecture | None:
    """The architecture of machines on this host; None if we know no machine for it."""
    name = os.environ.get(OVERRIDE) or platform.machine()
    return next((known for known in ARCHITECTURES if name in known.names), None)


def required() -> Architecture:
    """That of machines on this host, where it is known that there is one."""
    ours = architecture()
    if ours is None:
        raise HostLacks(
            f"provision has no QEMU machine for {platform.machine()}",
            hint="use another provider: `backends: {vm: {provider: libvirt}}`",
        )
    return ours
