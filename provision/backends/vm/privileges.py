"""Options of `backends.vm` that weaken a machine's isolation: all except those known to be harmless.

An option is harmless where it bounds the machine, or does no more than a build step or a
service could do inside. What is not listed needs the word `privileges`: a new option of a provider's, too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.spec.demands import shown
from provision.spec.privileges import ask

if TYPE_CHECKING:
    from provision.spec.fields import Fields
    from provision.spec.scope import Scope

# Names that say the same, or nothing, to every provider: its size, its processor as the guest
# sees it, and the buses and models of the devices that it has anyway.
PROVIDER = frozenset({
    "cpus", "memory", "maxmemory", "cpu_fallback", "cpu_mode", "cpu_model", "cputopology", "cpuset",
    "clock_offset", "disk_bus", "disk_device", "keymap", "linked_clone", "machine_arch", "machine_type",
    "machine_virtual_size", "nic_model_type", "random_hostname", "video_type", "video_vram",
})  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:,+-]*")  # some providers write it into XML as it is
COPIED = ("auto", "rsync", "vboxsf", "virtiofs", "9p")  # nfs and smb export folders to a network


def ask_for_privileges(fields: Fields, options: Fields, machine: str, scope: Scope) -> None:
    """Ask for options of a provider, for folders that leave the host, and for boxes, which can run code."""
    for key, node in options.entries("options").items():
        if key not in PROVIDER or not _PLAIN.fullmatch(str(node.value)):
            ask(f"backends.vm.options.{key}", node, node, machine, scope)
    sync = options.node("sync")
    if sync is not None and sync.value not in COPIED:
        ask("backends.vm.sync", sync, sync, machine, scope)
    for box in (options.node("box"), fields.within("base").node("box") if "base" in fields else None):
        if box is not None and isinstance(box.value, str):
            message = f"the box {shown(box.value)} can contain Ruby code, which Vagrant runs on this host"
            scope.demands.ask("host-code", message, box, message, "use a base from `provision bases`")
