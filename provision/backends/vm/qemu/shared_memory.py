"""A machine's saved state in a registry: as it is kept for starts after `down`, but for the disk under it.

QEMU trusts the memory that it loads as it trusts its own program. So a state is taken from a registry only
by `pull --memory`, or where the user's own configuration says `memory: true`.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process
from provision.backends.base import Pulled, Pushed, Shareable
from provision.backends.vm.architecture import required
from provision.backends.vm.image.shared import refers_elsewhere
from provision.backends.vm.qemu import snapshot
from provision.oci.errors import Damaged
from provision.runtime import TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.backends.vm.image.store import Artifact
    from provision.backends.vm.qemu.instance import Instance
    from provision.oci.model import Manifest
    from provision.oci.registry import Registry
    from provision.progress import Progress

KIND = "memory"
TYPE = "application/vnd.provision.memory.v1"
FILE = "memory.qcow2"


def shareable(instance: Instance, disk: Artifact, key: str) -> Shareable:
    """The saved state of a machine that is made of a disk, under its key."""
    docker = required().docker
    return Shareable(
        kind=KIND,
        name=instance.machine if snapshot.is_kept(instance, key) else "",
        title=f"the saved state of {instance.machine}",
        tag=f"{KIND}-{key}-{docker}",
        architecture=docker,
        key=key,
        machine=instance.machine,
        disk=disk.name,
    )


def push(item: Shareable, instance: Instance, registry: Registry, progress: Progress) -> Pushed:
    """Store a state that is kept, without the path of the disk under it.

    Raises:
        RegistryFailed: the registry did not take it.
    """
    from provision.oci import artifact

    reference = registry.repository.tagged(item.tag)
    former = registry.find(item.tag)
    # Each save has other bytes, and one that fits is as good as another.
    if former is not None and artifact.about(registry.client, former) is not None:
        return Pushed(item=item, reference=reference, digest=former.digest, size=0, sent=0)
    with _folder(instance) as folder:
        copy = folder / FILE
        process.run(["cp", "--sparse=always", str(snapshot.kept(instance)), str(copy)])
        process.run(["qemu-img", "rebase", "-u", "-b", "", str(copy)])
        done = artifact.push(registry.client, item.tag, TYPE, [copy], {}, progress)
    return Pushed(item=item, reference=reference, digest=done.digest, size=done.size, sent=done.sent)


def pull(
    item: Shareable,
    manifest: Manifest,
    instance: Instance,
    disk: Path,
    registry: Registry,
    progress: Progress,
) -> Pulled:
    """Keep a state for the next start, over the disk of this host that it belongs to.

    Raises:
        RegistryFailed: it could not be taken whole.
        Damaged: it is none, or would read another file of this host.
    """
    from provision.oci import artifact

    with _folder(instance) as folder:
        done, _ = artifact.pull(registry.client, manifest, folder, progress)
        file = folder / FILE
        if [path.name for path in folder.iterdir()] != [FILE] or refers_elsewhere(file) is not False:
            reference = registry.repository.tagged(item.tag)
            raise Damaged(f"{reference} is refused", "it is no saved state of provision")
        process.run(["qemu-img", "rebase", "-u", "-F", "qcow2", "-b", str(disk), str(file)])
        snapshot.keep(instance, file, item.key)
    return Pulled(item=item, digest=manifest.digest, size=done.size, received=done.sent)


@contextmanager
def _folder(instance: Instance) -> Iterator[Path]:
    """A folder of its own beside the machine's disk, so that what is in it can be renamed."""
    from tempfile import TemporaryDirectory

    instance.state_dir.make()
    instance.folder.mkdir(mode=0o700, exist_ok=True)
    with TemporaryDirectory(prefix=TEMPORARY, dir=instance.folder) as folder:
        yield Path(folder)
