"""Disks in a registry: which one a machine's would be there, pushed from the store, and pulled into it.

On another host the base's image may be another, or none may be there at all. So the name in the registry
follows from what is built alone, with the base by its name: as containers' images are named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.base import Pulled, Pushed, Shareable
from provision.backends.vm.architecture import required
from provision.oci.errors import Damaged

if TYPE_CHECKING:
    from pathlib import Path

    from provision.backends.vm.image.store import ArtifactStore
    from provision.model import Machine
    from provision.oci.model import Manifest
    from provision.oci.registry import Registry
    from provision.progress import Progress
    from provision.rendering import Rendering

KIND = "disk"
TYPE = "application/vnd.provision.disk.v1"
FILES = ("disk.qcow2", "initrd", "vmlinuz")
_KNOWN = 2  # disks of this host that may have some of the chunks: the newest
_QCOW2 = b"QFI\xfb"
_HEADER = 104
_EXTERNAL_DATA = 1 << 2


def shareable(machine: Machine, rendering: Rendering, store: ArtifactStore) -> Shareable:
    """A machine's disk, as it is called in a registry."""
    made, key = store.find(machine, rendering), store.shared_key(machine, rendering)
    docker = required().docker
    return Shareable(
        kind=KIND,
        name=made.name if made else "",
        title=f"the disk of {machine.name}",
        tag=f"{KIND}-{key}-{docker}",
        architecture=docker,
        key=key,
    )


def push(item: Shareable, store: ArtifactStore, registry: Registry, progress: Progress) -> Pushed:
    """Store a disk, with its kernel, in chunks; those that the registry has are not sent again.

    Raises:
        RegistryFailed: the registry did not take it.
    """
    from provision.oci import artifact

    reference, about = registry.repository.tagged(item.tag), {"name": item.name}
    former = registry.find(item.tag)
    if former is not None and artifact.about(registry.client, former) == about:
        return Pushed(item=item, reference=reference, digest=former.digest, size=0, sent=0)
    files = [store.get(item.name).folder / name for name in FILES]
    done = artifact.push(registry.client, item.tag, TYPE, files, about, progress)
    return Pushed(item=item, reference=reference, digest=done.digest, size=done.size, sent=done.sent)


def pull(
    item: Shareable, manifest: Manifest, store: ArtifactStore, registry: Registry, progress: Progress
) -> Pulled:
    """Have a disk in the store, whole and checked; whoever pulls the same at the same time is waited for.

    Where the connection is cut, what has come is kept, and the next call goes on.

    Raises:
        RegistryFailed: it could not be taken whole.
        Damaged: it is not what it is called, or would read another file of this host.
    """
    from provision.oci import artifact

    with store.half_of_shared(item.key) as half:
        known = [each.folder / store.file for each in store.newest(_KNOWN)]
        done, _ = artifact.pull(registry.client, manifest, half, progress, known=known)
        try:
            _require_disk(half, registry.repository.tagged(item.tag))
        except Damaged:
            from shutil import rmtree

            rmtree(half)
            raise
        store.keep_shared(item.key, half)
    return Pulled(item=item, digest=manifest.digest, size=done.size, received=done.sent)


def _require_disk(folder: Path, reference: str) -> None:
    """Require a disk that stands alone: one with a backing file would show the guest that file of the host.

    Raises:
        Damaged: it is none.
    """
    files = tuple(sorted(path.name for path in folder.iterdir()))
    refers = refers_elsewhere(folder / FILES[0]) if files == FILES else None
    if refers is None:
        raise Damaged(f"{reference} is not a disk of provision", f"its files are {', '.join(files)[:200]}")
    if refers:
        raise Damaged(f"{reference} is refused", "its disk refers to another file of this host")


def refers_elsewhere(path: Path) -> bool | None:
    """Whether a qcow2 names another file, which whoever opens it would read; None if it is no qcow2."""
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if len(header) < _HEADER or header[:4] != _QCOW2:
        return None
    version = int.from_bytes(header[4:8], "big")
    backing = int.from_bytes(header[8:16], "big")
    features = int.from_bytes(header[72:80], "big") if version > 2 else 0
    return backing != 0 or bool(features & _EXTERNAL_DATA)
