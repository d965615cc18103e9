"""A machine as a script that becomes QEMU, and a Dockerfile that makes its disk; pure."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from provision import resources
from provision.recipe import FAMILIES
from provision.rendering import RenderedFile, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.vm.provider import Guest
    from provision.model import Environment, Machine, Port

DISK = 10  # GiB, unless the spec says otherwise
GUEST = "guest"


def network_of(name: str) -> str:
    """A multicast group and port for frames of a network: on the loopback, and nobody else's by chance."""
    hashed = hashlib.sha256(name.encode()).digest()
    return f"239.192.{hashed[0]}.{hashed[1]}:{20000 + int.from_bytes(hashed[2:4], 'big') % 40000}"


def port_variable(port: Port) -> str:
    """The variable of the script that gives the host's side of a port."""
    return f"PORT_{port.guest}_{port.protocol.upper()}"


def script_name(machine: str) -> str:
    """The file of the rendering that becomes a machine."""
    return f"{machine}.sh"


def render_machine(environment: Environment, guest: Guest) -> Mapping[str, RenderedFile]:
    """The script, and what the machine's disk is made of beside its steps."""
    machine = guest.machine
    family = FAMILIES[machine.base.family]
    context: dict[str, object] = {
        "environment": environment,
        "machine": machine,
        "guest": guest,
        "steps": guest.steps[:-1],
        "last": guest.steps[-1],
        "gib": disk_size(machine),
        "caches": family.caches,
        "variable": port_variable,
        "network": network_of(environment.name),
        "identity": hashlib.md5(
            f"{environment.name}/{machine.name}".encode(), usedforsecurity=False
        ).hexdigest(),
    }
    script = render("vm/qemu/start.sh.j2", context).encode()
    files = {
        script_name(machine.name): RenderedFile(content=script, executable=True),
        f"{machine.name}/Dockerfile": RenderedFile(content=render("vm/qemu/Dockerfile.j2", context).encode()),
    }
    return files | {f"{machine.name}/{GUEST}/{path}": file for path, file in guest_files().items()}


def guest_files() -> Mapping[str, RenderedFile]:
    """What makes a machine of a root file system, whichever it is."""
    folder = resources.folder("templates") / "vm" / GUEST
    return {
        str(path.relative_to(folder)): RenderedFile(content=path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def held(machine: Machine, guest_folders: tuple[str, ...]) -> str:
    """What a machine whose memory is to be kept holds back until its state is saved.

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
    asked = machine.resources.disk
    return math.ceil(asked / 1024**3) if asked else DISK
