"""Vagrant boxes of bases, built from the distribution's mirror like their images.

The disk has one partition behind an MBR. GRUB is written before it as bytes, and the file
system is filled from a folder: no root, no loop device, nothing to unmount.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from provision import process, resources
from provision.bases.catalogue import archive
from provision.bases.making import ROOT_TAR, keep, lacking, require_tools, with_root
from provision.bases.packing import BOX_PROVIDERS, FORMATS, BoxProvider, add, descriptions, pack
from provision.bases.root import archive_time, make_root
from provision.bases.scripts import digest, scripts
from provision.errors import HostLacks
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Base
    from provision.progress import Progress

# What a machine of a box has beyond an image. udhcpc has an address sooner than others;
# bindfs gives the files of a live folder their owner.
PACKAGES = (
    "bindfs", "dbus", "e2fsprogs", "fdisk", "ifupdown", "iproute2", "kmod", "openssh-server",
    "qemu-guest-agent", "rsync", "sudo", "systemd-sysv", "udev", "udhcpc",
)  # fmt: skip
_RAM_DISK = ("initramfs-tools", "lz4")

# The lean kernel has virtiofs and boots sooner; VirtualBox's folders, network card and
# disks are in the full one alone.
KERNELS: Mapping[str, Mapping[BoxProvider, str]] = {
    "debian": {"libvirt": "linux-image-cloud-amd64", "virtualbox": "linux-image-amd64"},
    "ubuntu": {"libvirt": "linux-image-virtual", "virtualbox": "linux-image-generic"},
}

DISK_GIB = 2  # at least
TOOLS = ("e2fsprogs", "fdisk", "grub-common", "grub-pc-bin", "qemu-utils")
_GRUB = Path("/usr/lib/grub/i386-pc/boot.img")
_NEEDS = {
    "grub-mkimage": "grub-common",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "sfdisk": "fdisk",
}


@dataclass(frozen=True, kw_only=True)
class BoxRecipe:
    """What a box is made of; `digest` covers it all but the archive's packages."""

    packages: tuple[str, ...]
    files: Mapping[str, Path]
    digest: str


def boxes_folder() -> Path:
    """Where boxes made on this host are kept, each under the hash of its recipe."""
    return resources.cache() / "boxes"


def boxes_of(base: Base) -> tuple[BoxProvider, ...]:
    """The providers for which a box of `base` was made here."""
    if not can_make_box(base):
        return ()
    folder = boxes_folder()
    return tuple(provider for provider in BOX_PROVIDERS if box_path(base, provider, folder).exists())


def can_make_box(base: Base) -> bool:
    """Whether the catalogue says how a box of `base` is made; not whether this host can."""
    return archive(base) is not None and _distribution(base) in KERNELS


def box_recipe(base: Base, provider: BoxProvider) -> BoxRecipe:
    """What a box of `base` for `provider` is made of.

    Raises:
        HostLacks: nothing says how it is made.
    """
    origin = archive(base)
    kernels = KERNELS.get(_distribution(base))
    if origin is None or kernels is None:
        raise HostLacks(
            f"provision cannot build a box of {base.name}",
            hint="name a box with `base: {image: …, box: …}`, or choose Debian or Ubuntu",
        )
    packages = (*PACKAGES, *_RAM_DISK, kernels[provider])
    files = scripts("box")
    return BoxRecipe(
        packages=packages,
        files=files,
        digest=digest(files, origin.sources(base), packages, *descriptions(provider, DISK_GIB)),
    )


def box_path(base: Base, provider: BoxProvider, destination: Path) -> Path:
    """Where in `destination` the box of that recipe is, or would be."""
    name = base.name.replace(":", "-")
    dated = f"-{base.snapshot}" if base.snapshot else ""
    return destination / f"{name}{dated}-{provider}-{box_recipe(base, provider).digest}.box"


def build_box(base: Base, provider: BoxProvider, destination: Path, progress: Progress) -> Path:
    """Have a box of `base` in `destination`: the one of an earlier call, or one made now.

    Equal recipes and archives give equal boxes as far as the distribution's own tools do;
    if another process makes it at the same time, wait for that one.

    Returns:
        the box, whose name holds its recipe's digest.

    Raises:
        HostLacks: a tool, the mirror or its keyring is missing; nothing half-made is left.
    """
    box = box_path(base, provider, destination)
    if box.exists():
        return box
    _require()

    def make(work: Path) -> Path:
        with progress.step(f"building a {provider} box of {base.name} from {base.mirror}"):
            return _make(base, provider, work, progress)

    return keep(box, make)


def _make(base: Base, provider: BoxProvider, work: Path, progress: Progress) -> Path:
    recipe = box_recipe(base, provider)
    time = archive_time(base)
    seconds = int(time.timestamp())
    overlay = work / "overlay.tar"
    _write_overlay(overlay, recipe, seconds)
    make_root(
        base,
        work / ROOT_TAR,
        progress,
        time=time,
        packages=recipe.packages,
        customize=(
            f"tar-in {overlay} /",
            recipe.files["configure.sh"].read_text(),
            'chroot "$1" update-initramfs -u -k all',
        ),
    )
    identity = UUID(hashlib.md5(recipe.digest.encode(), usedforsecurity=False).hexdigest())
    with_root(
        work,
        recipe.files["disk.sh"].read_text(),
        ("root", "/dev/null", FORMATS[provider], str(DISK_GIB), "out"),
        progress,
        subject=f"the disk of {base.name}",
        env={
            "FILESYSTEM_ID": str(identity),
            "E2FSPROGS_FAKE_TIME": str(seconds),
            "SOURCE_DATE_EPOCH": str(seconds),
        },
    )
    box = work / "box"
    pack(provider, work / "out", box, time=seconds)
    return box


def _write_overlay(overlay: Path, recipe: BoxRecipe, time: int) -> None:
    """Our own files of the root."""
    with tarfile.open(overlay, "w") as tar:
        for name, path in recipe.files.items():
            if name.startswith("root/"):
                add(tar, name.removeprefix("root/"), path.read_bytes(), time)


def _distribution(base: Base) -> str:
    return base.name.partition(":")[0]


def _require() -> None:
    if platform.machine() != "x86_64":
        raise HostLacks(
            f"boxes are built for x86_64 only, and this host is {platform.machine()}",
            hint="name a box for it with `base: {image: …, box: …}`",
        )
    missing = lacking(_NEEDS)
    if os.geteuid() != 0 and process.find("newuidmap") is None:
        missing.add("uidmap")  # mmdebstrap is then root of a namespace of its own
    if not _GRUB.is_file():
        missing.add("grub-pc-bin")
    require_tools(sorted(missing), what="a box")
