"""A machine's disk as a Dockerfile: the layers of its container, and what makes a machine of them; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.bases.scripts import scripts
from provision.quick_dataclasses import dataclass
from provision.recipe.families import FAMILIES
from provision.recipe.lock import lock_files
from provision.recipe.steps import until_packages
from provision.rendering import RenderedFile, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.vm.driver import Guest
    from provision.bases.scripts import Kind

GUEST = "guest"


@dataclass(frozen=True, kw_only=True)
class DiskFormat:
    """What an image is made into: whose scripts do it, and the words that each is given.

    `boots_with` is what kernel.sh needs beside it.
    """

    kind: Kind
    packages: tuple[str, ...]
    boots_with: str
    kernel: tuple[str, ...]
    tools: tuple[str, ...]
    disk: tuple[str, ...]


def image_files(guest: Guest, disk_format: DiskFormat) -> Mapping[str, RenderedFile]:
    """What a machine's disk is built from in addition to its steps, in the machine's folder."""
    machine = guest.machine
    installing = until_packages(machine, guest.steps)
    context: dict[str, object] = {
        "machine": machine,
        "installing": installing,
        "others": guest.steps[len(installing) : -1],
        "last": guest.steps[-1],
        "caches": FAMILIES[machine.base.family].caches,
        "format": disk_format,
        "locked": bool(lock_files(machine)),
        "kernel_lock": bool(lock_files(machine)) and machine.lock is not None and machine.lock.kernel != "",
    }
    text = render("vm/image/Dockerfile.j2", context).encode()
    files = {f"{machine.name}/Dockerfile": RenderedFile(content=text)}
    if context["kernel_lock"] and machine.lock:
        line = f"{machine.lock.kernel} {'exact' if machine.lock.exact else 'if-there'}\n"
        files[f"{machine.name}/{GUEST}/kernel.lock"] = RenderedFile(content=line.encode())
    theirs = {f"root{file.path}" for file in machine.files}  # what the spec says is in them
    return files | {
        f"{machine.name}/{GUEST}/{path}": RenderedFile(content=file.read_bytes())
        for path, file in scripts(disk_format.kind).items()
        if path not in theirs
    }
