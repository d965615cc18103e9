"""What QEMU machines take of this host: their processes, their disks."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from provision.backends.base import Footprint
from provision.backends.vm.guest import ssh
from provision.backends.vm.qemu import snapshot
from provision.backends.vm.qemu.instance import Instance
from provision.backends.vm.qemu.launch import DISKS
from provision.backends.vm.qemu.records import instance_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from provision.state import StateDir

EMULATED = "tcg"
CAVEAT = "This host emulates the machine's processor: with KVM a machine starts and works many times as fast."


def footprint(state_dir: StateDir, machines: Sequence[str]) -> Footprint:
    """Of these machines of an environment, those that run."""
    instances = [Instance(state_dir=state_dir, machine=machine) for machine in machines]
    running = [found for instance in instances if (found := instance.process()) is not None]
    known = instance_records(state_dir)
    disks = dict.fromkeys(known[name].disk for name in machines if name in known and known[name].disk)
    folders = [DISKS.get(disk).folder for disk in disks]
    images = [folder / DISKS.file for folder in folders]
    emulated = any(EMULATED in word for found in running for word in found.cmdline())
    return Footprint(
        processes=tuple(dict.fromkeys((*(each.pid for each in running), *_networks(state_dir, machines))))
        or None,
        stored=sum(_taken(path) for folder in folders for path in folder.glob("*")) or None,
        own=sum(_taken(instance.overlay) for instance in instances),
        sent=tuple(("cat", str(image)) for image in images if image.exists()),
        escape=f"the QEMU process, which runs as {getpass.getuser()}: what this user may reach on this host",
        saves=any(snapshot.saved_bytes(instance) for instance in instances),
        caveats=(CAVEAT,) if emulated else (),
    )


def forget_saved(state_dir: StateDir) -> bool:
    """The states that are kept of machines that are down."""
    folder = Instance(state_dir=state_dir, machine="").folder
    kept = [
        path.name.removesuffix(f".qcow2{snapshot.KEPT}") for path in folder.glob(f"*.qcow2{snapshot.KEPT}")
    ]
    for machine in kept:
        snapshot.discard(Instance(state_dir=state_dir, machine=machine))
    return bool(kept)


def _networks(state_dir: StateDir, machines: Sequence[str]) -> Iterator[int]:
    """The programs that carry the machines' connections: each has the path of a machine's socket."""
    import psutil

    sockets = {str(ssh.socket_path(state_dir, f"{machine}.net")) for machine in machines}
    for each in psutil.process_iter(["cmdline"]):
        if sockets & set(each.info["cmdline"] or ()):
            yield each.pid


def _taken(path: Path) -> int:
    """The bytes that a file takes on the host's disk."""
    return path.lstat().st_blocks * 512 if path.is_file() else 0
