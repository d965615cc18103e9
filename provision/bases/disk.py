"""Disks of bases for QEMU itself, made from the distribution's mirror: no engine, no boot loader."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from provision import process, resources
from provision.bases.catalogue import archive
from provision.bases.root import archive_time, make_root
from provision.errors import HostLacks

if TYPE_CHECKING:
    from provision.model import Base
    from provision.progress import Progress

DISK_GIB = 2
_TOOLS = {"mke2fs": "e2fsprogs", "mmdebstrap": "mmdebstrap", "qemu-img": "qemu-utils"}
_INSIDE = "/run/provision/guest"
# The packages that only make the initial RAM disk are none of the machine's.
_CUSTOMIZE = (
    'mkdir -p "$1/run/provision" && cp -R {guest} "$1' + _INSIDE + '"',
    'chroot "$1" sh ' + _INSIDE + "/guest.sh",
    'chroot "$1" sh ' + _INSIDE + "/kernel.sh",
    'chroot "$1" env DEBIAN_FRONTEND=noninteractive apt-get purge -q -y busybox-static cpio',
    'chroot "$1" apt-get clean; rm -rf "$1"/var/lib/apt/lists/* "$1/run/provision"',
)
_UNPACK = """
set -eu
mount --make-rprivate /
mkdir root && mount -t tmpfs -o mode=0755 root root
tar --extract --numeric-owner --exclude './dev/*' --file root.tar --directory root
mv root/kernel kernel
sh guest/disk.sh root kernel "$1" out
"""


def can_make_disk(base: Base) -> bool:
    """Whether the catalogue says how a disk of `base` is made; not whether this host can."""
    return archive(base) is not None


def build_disk(base: Base, destination: Path, progress: Progress) -> Path:
    """Have a folder in `destination` with disk.qcow2, vmlinuz and initrd of `base`.

    The one of an earlier call, or one made now; whoever makes it at the same time is waited for.

    Raises:
        HostLacks: a tool, the mirror or its keyring is missing; nothing half-made is left.
    """
    from filelock import FileLock

    origin = archive(base)
    if origin is None:
        raise HostLacks(
            f"nothing says how a disk of {base.name} is made",
            hint="choose Debian or Ubuntu, or `backends: {vm: {provider: libvirt}}`, which has a box of it",
        )
    guest = resources.folder("templates") / "vm" / "guest"
    total = hashlib.sha256(f"{origin.sources(base)}\0{DISK_GIB}".encode())
    for path in sorted(path for path in guest.rglob("*") if path.is_file()):
        total.update(f"\0{path.relative_to(guest)}\0".encode() + path.read_bytes())
    made = destination / f"base-{base.name.replace(':', '-')}-{total.hexdigest()[:16]}"
    if (made / "disk.qcow2").exists():
        return made
    _require()
    destination.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(f"{made}.lock"),
        # mmdebstrap may work as another user of a namespace, who gets into /tmp but not home.
        TemporaryDirectory(prefix="provision-", ignore_cleanup_errors=True) as folder,
    ):
        if not (made / "disk.qcow2").exists():
            with progress.step(f"making a disk of {base.name} from {base.mirror}"):
                _make(base, guest, Path(folder), progress)
                _keep(Path(folder) / "out", made)
    return made


def _keep(out: Path, made: Path) -> None:
    """Put what was made in its place, whole or not at all."""
    half = made.with_suffix(".part")
    shutil.rmtree(half, ignore_errors=True)
    shutil.rmtree(made, ignore_errors=True)
    try:
        shutil.copytree(out, half)
        half.rename(made)
    except OSError as error:
        raise HostLacks(
            f"the disk cannot be kept in {made.parent}",
            evidence=str(error).splitlines()[-1:],
            hint="make room there, or set XDG_CACHE_HOME to where there is some",
        ) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _make(base: Base, guest: Path, work: Path, progress: Progress) -> None:
    shutil.copytree(guest, work / "guest")
    work.chmod(0o777)
    customize = tuple(text.replace("{guest}", str(work / "guest")) for text in _CUSTOMIZE)
    make_root(base, work / "root.tar", progress, time=archive_time(base), customize=customize)
    try:
        process.stream(
            ["mmdebstrap", "--unshare-helper", "sh", "-c", _UNPACK, "disk", str(DISK_GIB)],
            progress.line,
            cwd=work,
        )
    except process.CommandFailed as error:
        raise HostLacks(
            f"the disk of {base.name} could not be made",
            evidence=error.evidence,
            hint="is there room in /tmp, and in memory for the root file system?",
        ) from error


def _require() -> None:
    missing = sorted({package for tool, package in _TOOLS.items() if process.find(tool) is None})
    if missing:
        raise HostLacks(
            "the tools that make a disk are missing",
            evidence=missing,
            hint=f"apt-get install {' '.join(missing)}, or scripts/host-setup vm; or start a Docker engine",
        )
