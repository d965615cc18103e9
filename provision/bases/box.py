"""Vagrant boxes of bases, made from the distribution's mirror as their images are.

The disk has one partition behind an MBR. GRUB is laid before it as bytes, and the file
system is filled from a folder: no root, no loop device, nothing to unmount.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import tarfile
from dataclasses import dataclass
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, get_args
from uuid import UUID

from provision import process, resources
from provision.bases.catalogue import archive
from provision.bases.root import archive_time, make_root
from provision.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from provision.model import Base
    from provision.progress import Progress

BoxProvider = Literal["libvirt", "virtualbox"]
BOX_PROVIDERS: tuple[BoxProvider, ...] = get_args(BoxProvider)

# What a machine needs beyond an image. udhcpc has an address sooner than others;
# bindfs gives the files of a live folder their owner; lz4 packs the initial RAM disk.
PACKAGES = (
    "bindfs", "dbus", "e2fsprogs", "fdisk", "ifupdown", "initramfs-tools", "iproute2", "kmod",
    "lz4", "openssh-server", "qemu-guest-agent", "rsync", "sudo", "systemd-sysv", "udev", "udhcpc",
)  # fmt: skip

# The lean kernel has virtiofs and boots sooner; VirtualBox's folders, network card and
# disks are in the full one alone.
_KERNELS: dict[str, dict[BoxProvider, str]] = {
    "debian": {"libvirt": "linux-image-cloud-amd64", "virtualbox": "linux-image-amd64"},
    "ubuntu": {"libvirt": "linux-image-virtual", "virtualbox": "linux-image-generic"},
}

DISK_GIB = 2
_PARTITION_SECTOR = 2048
_SECTOR = 512
_BOOT_CODE = 440  # bytes of an MBR before the disk's id and the partition table
_GRUB = Path("/usr/lib/grub/i386-pc")
_GRUB_MODULES = ("biosdisk", "boot", "configfile", "ext2", "linux", "normal", "part_msdos")
_TOOLS = {
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
    files: tuple[Path, ...]
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
    return archive(base) is not None and _distribution(base) in _KERNELS


def box_recipe(base: Base, provider: BoxProvider) -> BoxRecipe:
    """What a box of `base` for `provider` is made of.

    Raises:
        HostLacks: nothing says how it is made.
    """
    origin = archive(base)
    kernels = _KERNELS.get(_distribution(base))
    if origin is None or kernels is None:
        raise HostLacks(
            f"nothing says how a box of {base.name} is made",
            hint="name a box with `base: {image: …, box: …}`, or choose Debian or Ubuntu",
        )
    packages = (*PACKAGES, kernels[provider])
    folder = _folder()
    files = tuple(sorted(path for path in folder.rglob("*") if path.is_file()))
    total = hashlib.sha256(f"{provider}\0{origin.sources(base)}\0{packages}\0{DISK_GIB}".encode())
    for path in files:
        total.update(f"\0{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return BoxRecipe(packages=packages, files=files, digest=total.hexdigest()[:16])


def box_path(base: Base, provider: BoxProvider, destination: Path) -> Path:
    """Where in `destination` the box of that recipe is, or would be."""
    name = base.name.replace(":", "-")
    dated = f"-{base.snapshot}" if base.snapshot else ""
    return destination / f"{name}{dated}-{provider}-{box_recipe(base, provider).digest}.box"


def build_box(base: Base, provider: BoxProvider, destination: Path, progress: Progress) -> Path:
    """Have a box of `base` in `destination`: the one of an earlier call, or one made now.

    Equal recipes and archives give equal boxes as far as the distribution's own tools do;
    whoever makes it at the same time is waited for.

    Returns:
        the box, whose name holds its recipe's digest.

    Raises:
        HostLacks: a tool, the mirror or its keyring is missing; nothing half-made is left.
    """
    from filelock import FileLock

    box = box_path(base, provider, destination)
    if box.exists():
        return box
    _require()
    destination.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(f"{box}.lock"),
        # mmdebstrap may work as another user of a namespace, who gets into /tmp but not home.
        TemporaryDirectory(prefix="provision-", ignore_cleanup_errors=True) as folder,
    ):
        if not box.exists():
            with progress.step(f"making a {provider} box of {base.name} from {base.mirror}"):
                time = archive_time(base)
                disk = _make_disk(base, provider, Path(folder), time, progress)
                half = box.with_suffix(".part")
                try:
                    _pack(provider, disk, half, time)
                    half.replace(box)
                finally:
                    half.unlink(missing_ok=True)
    return box


def _make_disk(base: Base, provider: BoxProvider, work: Path, time: datetime, progress: Progress) -> Path:
    recipe = box_recipe(base, provider)
    overlay = work / "overlay.tar"
    _write_overlay(overlay, recipe, time)
    tar = work / "root.tar"
    configure = (_folder() / "configure.sh").read_text()
    make_root(
        base,
        tar,
        progress,
        time=time,
        packages=recipe.packages,
        customize=(f"tar-in {overlay} /", configure),
    )
    disk = work / "disk.raw"
    identity = UUID(hashlib.md5(recipe.digest.encode(), usedforsecurity=False).hexdigest())
    with disk.open("wb") as file:
        file.truncate(DISK_GIB << 30)
    disk.chmod(0o666)  # that user of a namespace fills it
    mount = work / "root"
    mount.mkdir()
    kibibytes = (DISK_GIB << 20) - _PARTITION_SECTOR * _SECTOR // 1024
    script = (_folder() / "disk.sh").read_text()
    try:
        process.stream(
            ["mmdebstrap", "--unshare-helper", "sh", "-c", script, "disk.sh",
             str(tar), str(disk), str(mount), str(kibibytes)],
            progress.line,
            env={
                "FILESYSTEM_ID": str(identity),
                "E2FSPROGS_FAKE_TIME": str(int(time.timestamp())),
                "SOURCE_DATE_EPOCH": str(int(time.timestamp())),
            },
        )  # fmt: skip
        tar.unlink()
        _make_bootable(disk, work, identity)
    except process.CommandFailed as error:
        raise HostLacks(
            f"the disk of {base.name} could not be made",
            evidence=error.evidence,
            hint="is there room in /tmp, and in memory for the root file system?",
        ) from error
    return disk


def _make_bootable(disk: Path, work: Path, identity: UUID) -> None:
    """Give the disk its partition table, and GRUB in the sectors before the partition."""
    process.run(
        ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(disk)],
        stdin=f"label: dos\nlabel-id: {identity.fields[0]:#010x}\n"
        f"start={_PARTITION_SECTOR}, type=83, bootable\n".encode(),
    )
    core = work / "core.img"
    process.run(
        ["grub-mkimage", "--format=i386-pc", "--prefix=(,msdos1)/boot/grub",
         f"--output={core}", *_GRUB_MODULES]
    )  # fmt: skip
    stages = core.read_bytes()
    if len(stages) > (_PARTITION_SECTOR - 1) * _SECTOR:
        raise HostLacks(
            f"GRUB's {len(stages)} bytes do not fit before the first partition",
            hint=f"its modules were {', '.join(_GRUB_MODULES)}: is grub-pc-bin a usual one?",
        )
    with disk.open("r+b") as file:
        # As it comes, boot.img reads on at the second sector, where core.img then is.
        file.write((_GRUB / "boot.img").read_bytes()[:_BOOT_CODE])
        file.seek(_SECTOR)
        file.write(stages)


def _write_overlay(overlay: Path, recipe: BoxRecipe, time: datetime) -> None:
    """Our own files of the root, owned by root whoever runs this."""
    root = _folder() / "root"
    with tarfile.open(overlay, "w") as tar:
        for path in recipe.files:
            if path.is_relative_to(root):
                mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                content = path.read_bytes()
                _add(tar, str(path.relative_to(root)), content, time, mode=mode)


def _pack(provider: BoxProvider, disk: Path, box: Path, time: datetime) -> None:
    """Write the box: the disk as the provider wants it, and what Vagrant must know of it."""
    with tarfile.open(box, "w") as tar:
        for name, content in _contents(provider, disk):
            if isinstance(content, bytes):
                _add(tar, name, content, time)
            else:
                member = _member(name, content.stat().st_size, time, 0o644)
                with content.open("rb") as file:
                    tar.addfile(member, file)


def _contents(provider: BoxProvider, disk: Path) -> Iterator[tuple[str, bytes | Path]]:
    if provider == "libvirt":
        image = disk.with_name("box.img")
        _convert(disk, image, "qcow2", ["-c"])
        metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": DISK_GIB}
        yield "metadata.json", json.dumps(metadata).encode()
        yield "box.img", image
    else:
        image = disk.with_name("box.vmdk")
        _convert(disk, image, "vmdk", ["-o", "subformat=streamOptimized"])
        description = Template((_folder() / "box.ovf").read_text())
        yield "metadata.json", json.dumps({"provider": "virtualbox"}).encode()
        yield "box.ovf", description.substitute(capacity=DISK_GIB << 30).encode()
        yield "box.vmdk", image


def _convert(disk: Path, image: Path, form: str, options: list[str]) -> None:
    process.run(["qemu-img", "convert", "-O", form, *options, str(disk), str(image)])


def _add(tar: tarfile.TarFile, name: str, content: bytes, time: datetime, *, mode: int = 0o644) -> None:
    tar.addfile(_member(name, len(content), time, mode), io.BytesIO(content))


def _member(name: str, size: int, time: datetime, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = mode
    member.mtime = int(time.timestamp())
    member.uname = member.gname = "root"
    return member


def _distribution(base: Base) -> str:
    return base.name.partition(":")[0]


def _folder() -> Path:
    return resources.folder("templates") / "vm" / "box"


def _require() -> None:
    if platform.machine() != "x86_64":
        raise HostLacks(
            f"boxes are made for x86_64, and this host is {platform.machine()}",
            hint="name a box for it with `base: {image: …, box: …}`",
        )
    missing = {package for tool, package in _TOOLS.items() if process.find(tool) is None}
    if os.geteuid() != 0 and process.find("newuidmap") is None:
        missing.add("uidmap")  # mmdebstrap is then root of a namespace of its own
    if not (_GRUB / "boot.img").is_file():
        missing.add("grub-pc-bin")
    if missing:
        raise HostLacks(
            "the tools that make a box are missing",
            evidence=sorted(missing),
            hint=f"apt-get install {' '.join(sorted(missing))}, or scripts/host-setup vm",
        )
