"""Disks of bases for QEMU itself, made from the distribution's mirror: no engine, no boot loader."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from provision import guest_paths
from provision.bases.catalogue import archive
from provision.bases.making import ROOT_TAR, keep, lacking, require_tools, with_root
from provision.bases.root import archive_time, make_root
from provision.bases.scripts import digest, scripts
from provision.errors import HostLacks

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Base
    from provision.progress import Progress

# What a machine of QEMU has beyond an image; bindfs gives the files of a live folder their owner.
PACKAGES = (
    "bindfs", "dbus", "e2fsprogs", "kmod", "openssh-server", "rsync", "systemd-sysv", "udev",
)  # fmt: skip
TOOLS = ("e2fsprogs", "qemu-utils")
DISK_GIB = 2
_NEEDS = {"mke2fs": "e2fsprogs", "mmdebstrap": "mmdebstrap", "qemu-img": "qemu-utils"}
_INSIDE = guest_paths.GUEST_BUILD
# The packages that only make the initial RAM disk are none of the machine's.
_CUSTOMIZE = (
    'mkdir -p "$1' + guest_paths.BUILDS + '" && cp -R {guest} "$1' + _INSIDE + '"',
    'chroot "$1" sh ' + f"{_INSIDE}/guest.sh {' '.join(PACKAGES)}",
    'chroot "$1" sh ' + _INSIDE + "/kernel.sh",
    'chroot "$1" env DEBIAN_FRONTEND=noninteractive apt-get purge -q -y cpio xz-utils zstd',
    'chroot "$1" apt-get clean; rm -rf "$1"/var/lib/apt/lists/* "$1' + guest_paths.RUN + '"',
)
_DISK = 'mv root/kernel kernel && sh guest/disk.sh root kernel "$1" out'


def can_make_disk(base: Base) -> bool:
    """Whether the catalogue says how a disk of `base` is made; not whether this host can."""
    return archive(base) is not None


def build_disk(base: Base, destination: Path, progress: Progress) -> Path:
    """Have a folder in `destination` with disk.qcow2, vmlinuz and initrd of `base`.

    The one of an earlier call, or one made now; waits if another process makes it at the same time.

    Raises:
        HostLacks: a tool, the mirror or its keyring is missing; nothing half-made is left.
    """
    origin = archive(base)
    if origin is None:
        raise HostLacks(
            f"provision cannot build a disk of {base.name}",
            hint="choose Debian or Ubuntu, or `backends: {vm: {provider: libvirt}}`, which has a box for it",
        )
    total = digest(scripts("guest"), origin.sources(base), PACKAGES, DISK_GIB)
    made = destination / f"base-{base.name.replace(':', '-')}-{total}"
    if made.exists():
        return made
    require_tools(sorted(lacking(_NEEDS)), what="a disk", instead="; or start a Docker engine")

    def make(work: Path) -> Path:
        with progress.step(f"building a disk of {base.name} from {base.mirror}"):
            for name, path in scripts("guest").items():
                (work / "guest" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, work / "guest" / name)
            customize = tuple(text.replace("{guest}", str(work / "guest")) for text in _CUSTOMIZE)
            make_root(base, work / ROOT_TAR, progress, time=archive_time(base), customize=customize)
            with_root(work, _DISK, (str(DISK_GIB),), progress, subject=f"the disk of {base.name}")
        return work / "out"

    return keep(made, make)
