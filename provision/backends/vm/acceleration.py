"""Whether a guest really boots with KVM or HVF on this host: tried once, and remembered."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from provision import process, resources
from provision.errors import ProvisionError
from provision.state import StateDir

# A boot sector that writes K to the first serial port and leaves through isa-debug-exit.
BOOT_SECTOR = bytes.fromhex("ba f803 b0 4b ee ba f400 b0 10 ee f4").ljust(510, b"\0") + b"\x55\xaa"
PATIENCE = 20.0
REMEMBERED = "acceleration"
PROGRAM = "qemu-system-x86_64"


@cache
def accelerated() -> str | None:
    """`kvm` or `hvf`, if it can be used. A device node proves nothing, so a guest is booted."""
    if sys.platform == "darwin":
        kind = "hvf"
    elif os.access("/dev/kvm", os.R_OK | os.W_OK):
        kind = "kvm"
    else:
        return None
    host = f"{platform.release()} {_qemu()}"
    state_dir = StateDir(folder=resources.cache())
    boots = state_dir.read(REMEMBERED).get(host)
    if not isinstance(boots, bool):
        boots = _boots(kind)
        state_dir.remember(REMEMBERED, {host: boots})
    return kind if boots else None


def _qemu() -> str:
    """Which QEMU it is: by its file, for to ask it for its version takes as long as all else."""
    found = process.find(PROGRAM)
    if found is None:
        return ""
    file = Path(found).stat()
    return f"{found} {file.st_size} {file.st_mtime_ns}"


def _boots(kind: str) -> bool:
    with TemporaryDirectory() as folder:
        disk = Path(folder) / "boot.img"
        disk.write_bytes(BOOT_SECTOR)
        try:
            tried = process.run(
                [PROGRAM, "-accel", kind, "-cpu", "host", "-display", "none",
                 "-nodefaults", "-serial", "stdio",
                 "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                 "-drive", f"file={disk},format=raw,if=ide"],
                check=False,
                timeout=PATIENCE,
            )  # fmt: skip
        except ProvisionError:
            return False
    return "K" in tried.stdout
