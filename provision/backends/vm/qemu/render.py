"""A machine as a script that becomes QEMU, and a Dockerfile that makes its disk; pure."""

from __future__ import annotations

import hashlib
import math
from functools import partial
from typing import TYPE_CHECKING

from provision.backends.ports import variable
from provision.backends.vm.architecture import ARCHITECTURES
from provision.backends.vm.image.dockerfile import DiskFormat, image_files
from provision.bases.disk import PACKAGES, TOOLS
from provision.rendering import RenderedFile, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.vm.driver import Guest
    from provision.model import Environment, Machine

DISK = 10  # GiB, unless the spec says otherwise


def network_of(name: str) -> str:
    """A multicast group and port for frames of a network: on the loopback, and nobody else's by chance."""
    hashed = hashlib.sha256(name.encode()).digest()
    return f"239.192.{hashed[0]}.{hashed[1]}:{20000 + int.from_bytes(hashed[2:4], 'big') % 40000}"


def script_name(machine: str) -> str:
    """The file of the rendering that becomes a machine."""
    return f"{machine}.sh"


def render_machine(environment: Environment, guest: Guest) -> Mapping[str, RenderedFile]:
    """The script, and what the machine's disk is made of in addition to its steps."""
    machine = guest.machine
    context: dict[str, object] = {
        "architectures": ARCHITECTURES,
        "environment": environment,
        "machine": machine,
        "guest": guest,
        "gib": disk_size(machine),
        "variable": partial(variable, machine),
        "network": network_of(environment.unique_name),
        "identity": hashlib.md5(
            f"{environment.unique_name}/{machine.name}".encode(), usedforsecurity=False
        ).hexdigest(),
    }
    script = render("vm/qemu/start.sh.j2", context).encode()
    disk_format = DiskFormat(
        kind="guest",
        packages=PACKAGES,
        boots_with="init",
        kernel=(),
        tools=TOOLS,
        disk=(str(disk_size(machine)),),
    )
    own = {script_name(machine.name): RenderedFile(content=script, executable=True)}
    return own | dict(image_files(guest, disk_format))


def held(machine: Machine, guest_folders: tuple[str, ...]) -> str:
    """What has to wait in a machine until its state is saved.

    `setup` where its services may run before: they see nothing that outlives the state or
    changes without it. Else `attach`, and with it every service: a volume has another
    content at the next start, what a service has open of the host's folders cannot be let
    go, what is brought to a machine (secrets, a proxy) may be in no state that is kept, and
    machines that it needs may not be ready.
    """
    inside = any(
        (service.workdir or "").startswith(f"{folder.rstrip('/')}/") or service.workdir == folder
        for service in machine.services
        for folder in guest_folders
    )
    brought = machine.secrets or machine.proxy
    return "attach" if machine.volumes or brought or machine.needs or inside else "setup"


def disk_size(machine: Machine) -> int:
    """The GiB of its disk."""
    disk = machine.resources.disk
    return math.ceil(disk / 1024**3) if disk else DISK
