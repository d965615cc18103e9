"""Packs a disk as a box: a tar file, with what Vagrant and the provider need to know."""

from __future__ import annotations

import io
import json
import tarfile
from string import Template
from typing import TYPE_CHECKING, Literal, get_args

from provision import resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BoxProvider = Literal["libvirt", "virtualbox"]
BOX_PROVIDERS: tuple[BoxProvider, ...] = get_args(BoxProvider)
FORMATS: Mapping[BoxProvider, str] = {"libvirt": "qcow2", "virtualbox": "vmdk"}
_DISKS: Mapping[BoxProvider, str] = {"libvirt": "box.img", "virtualbox": "box.vmdk"}


KERNEL = "vmlinuz"  # in a box, next to its disk


def pack(provider: BoxProvider, folder: Path, box: Path, *, time: int) -> None:
    """Write a box; its files are of `time`.

    Args:
        provider: whose box it is.
        folder: has the `disk`, its size in GiB in `gib`, and the kernel on it.
        box: the file to write.
        time: seconds since the epoch.
    """
    disk = folder / "disk"
    with tarfile.open(box, "w") as tar:
        for name, content in descriptions(provider, int((folder / "gib").read_text())):
            add(tar, name, content, time)
        add(tar, KERNEL, (folder / KERNEL).read_bytes(), time)
        member = _member(_DISKS[provider], disk.stat().st_size, time, 0o644)
        with disk.open("rb") as file:
            tar.addfile(member, file)


def kernel_of(box: Path) -> bytes | None:
    """The kernel of a box that was packed here; None if it has none next to its disk."""
    with tarfile.open(box) as tar:
        try:
            file = tar.extractfile(KERNEL)
        except KeyError:
            return None
        return file.read() if file else None


def size_of(box: Path) -> int:
    """The GiB of a box's disk."""
    with tarfile.open(box) as tar:
        file = tar.extractfile("metadata.json")
        return int(json.load(file)["virtual_size"]) if file else 0


def descriptions(provider: BoxProvider, gib: int) -> Iterator[tuple[str, bytes]]:
    """The files next to the disk, by name."""
    metadata = {"provider": provider, "format": FORMATS[provider], "virtual_size": gib}
    yield "metadata.json", json.dumps(metadata).encode()
    if provider == "virtualbox":
        folder = resources.folder("templates") / "vm" / "providers"
        description = Template((folder / "virtualbox.ovf").read_text())
        yield "box.ovf", description.substitute(capacity=gib << 30).encode()


def add(tar: tarfile.TarFile, name: str, content: bytes, time: int, *, mode: int = 0o644) -> None:
    """Put bytes into a tar as a file of root's, whichever user runs this."""
    tar.addfile(_member(name, len(content), time, mode), io.BytesIO(content))


def _member(name: str, size: int, time: int, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = mode
    member.mtime = time
    member.uname = member.gname = "root"
    return member
