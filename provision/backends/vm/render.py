"""Environment → the driver's files, and a folder for each machine that prepares it."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from provision import guest_paths
from provision.backends.vm.disks import disks
from provision.backends.vm.driver import Folder, Guest
from provision.backends.vm.guest.network import cards
from provision.backends.vm.guest.sync import COPIED, INSIDE, CopiedFolder, copied
from provision.backends.vm.options import options_of
from provision.recipe.contents import contents, payload
from provision.recipe.limits import CPUS, MEMORY, default_limits, hard_files, shared_memory, written
from provision.recipe.lock import FOLDER, lock_files
from provision.recipe.proxy import proxy_files
from provision.recipe.repositories import repository_files
from provision.recipe.steps import RECORDS, steps
from provision.recipe.systemd import systemd_scripts
from provision.rendering import RenderedFile, Rendering, digest_of, path_from, render

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from provision.backends.vm.driver import Card, Driver
    from provision.model import Environment, Machine

HOME = guest_paths.KEPT_RENDERING  # where a machine has its folder of the rendering
MEBIBYTE = 1024**2
GIBIBYTE = 1024**3
OWN_SCRIPTS = ("attach", "enter")
SYSCTLS = "99-zz-provision.conf"  # the last that is read: the spec wins


def render_environment(environment: Environment, driver: Driver, location: Path) -> Rendering:
    """Everything that makes the machines, for a folder at `location`."""
    joined = cards(environment) if driver.joins_private_network else {}
    guests = [
        _guest(environment, machine, driver, location, joined.get(machine.name))
        for machine in environment.machines
    ]
    scripts = {
        guest.machine.name: {**contents(guest.machine), **_own_scripts(guest, driver)} for guest in guests
    }
    guests = [
        replace(
            guest,
            steps=steps(guest.machine, scripts[guest.machine.name]),
        )
        for guest in guests
    ]
    provided = driver.render(environment, guests, location)
    files = dict(provided)
    recipes: dict[str, str] = {}
    made_of: dict[str, Mapping[str, RenderedFile]] = {}
    for guest in guests:
        name = guest.machine.name
        made = {f"{name}/{path}": file for path, file in _machine(guest, scripts[name]).items()}
        files |= made
        inside = {path: file for path, file in files.items() if path.startswith(f"{name}/")}
        recipes[name] = digest_of(inside)
        made_of[name] = {path.removeprefix(f"{name}/"): file for path, file in inside.items()}
    digests = {}
    for guest in guests:
        own = provided if len(guests) == 1 else driver.render(environment, [guest], location)
        definition = {path: file for path, file in own.items() if path.partition("/")[0] not in recipes}
        digests[guest.machine.name] = digest_of(definition)
    return Rendering(
        files=files,
        digest=digest_of(files),
        digests=digests,
        recipes=recipes,
        made_of=made_of,
        outside=digests,
    )


def copied_folders(environment: Environment, driver: Driver, location: Path) -> tuple[CopiedFolder, ...]:
    """The folders of all machines that are copied, not live."""
    return tuple(
        folder
        for machine in environment.machines
        for folder in copied(machine.name, _guest(environment, machine, driver, location).folders, location)
    )


def _guest(
    environment: Environment,
    machine: Machine,
    driver: Driver,
    location: Path,
    card: Card | None = None,
) -> Guest:
    resources = machine.resources
    binds: list[tuple[Path, str, bool, str | None]] = [
        (mount.source, mount.path, mount.read_only, mount.user) for mount in machine.mounts
    ]
    if machine.workspace:
        workspace = machine.workspace
        binds.insert(0, (workspace.source, workspace.path, False, workspace.user))
    sync = options_of(machine).sync
    kind = driver.live_folders if sync == "auto" else str(sync)
    return Guest(
        machine=machine,
        cpus=max(1, math.ceil(resources.cpus)) if resources.cpus else CPUS,
        memory=(resources.memory or MEMORY) // MEBIBYTE,
        disk=math.ceil(resources.disk / GIBIBYTE) if resources.disk else None,
        folders=tuple(
            _folder(
                path_from(location, source, environment.project),
                path,
                read_only,
                user,
                kind,
                driver,
                location,
            )
            for source, path, read_only, user in binds
        ),
        disks=disks(environment, machine),
        card=card,
    )


def _folder(
    source: str,
    path: str,
    read_only: bool,  # noqa: FBT001 - one of seven facts of a folder
    user: str | None,
    kind: str,
    driver: Driver,
    location: Path,
) -> Folder:
    absolute = os.path.normpath(location / source)
    # By its path inside, so that what is made for two clones is equal.
    named = absolute if driver.tags_by_source else path
    tag = hashlib.md5(named.encode(), usedforsecurity=False).hexdigest()[:31]
    live = kind == driver.live_folders and kind != COPIED
    bound = f"mount --bind {'-o ro ' if read_only else ''}{INSIDE}{tag}"
    return Folder(
        source=source,
        path=path,
        tag=tag,
        type=kind,
        read_only=read_only,
        mount=driver.mount(tag, read_only=read_only) if live else bound if kind == COPIED else None,
        user=user if user != "root" else None,
    )


def _machine(guest: Guest, scripts: Mapping[str, RenderedFile]) -> Mapping[str, RenderedFile]:
    """What is written into the machine and run there by root, as `apply`."""
    machine, taken = guest.machine, guest.steps
    context: dict[str, object] = {
        "machine": machine,
        "record": f"{RECORDS}/{taken[-1].digest}",
        "steps": taken,
        "secrets": machine.secrets,
        "proxy": digest_of(proxy_files(machine)) if machine.proxy else "",
        "over": [folder.path for folder in guest.folders] + [disk.path for disk in guest.disks],
    }
    files = {name: _script(f"vm/{name}.j2", context) for name in ("apply", "build")}
    for step in taken:
        files[f"steps/{step.name}.sh"] = RenderedFile(content=step.script.encode(), executable=True)
    files |= {f"files/{path}": file for path, file in payload(machine).items()}
    files |= {f"repositories/{path}": file for path, file in repository_files(machine).items()}
    files |= {f"{FOLDER}/{path}": file for path, file in lock_files(machine).items()}
    return files | {f"machine/{path}": file for path, file in scripts.items()}


def _own_scripts(guest: Guest, driver: Driver) -> Mapping[str, RenderedFile]:
    """How systemd runs the services, and what a boot attaches."""
    context: dict[str, object] = {
        "machine": guest.machine,
        "folders": guest.folders,
        "disks": guest.disks,
        "card": None if driver.configures_network else guest.card,
        "alone": guest.card is None,
        "own_names": tuple(dict.fromkeys((guest.machine.hostname, guest.machine.hostname.split(".")[0]))),
        "shared_memory": shared_memory(guest.machine),
        "limits": default_limits(guest.machine),
        "written": written,
    }
    own = {name: _script(f"vm/machine/{name}.j2", context) for name in OWN_SCRIPTS}
    context["most"] = hard_files(guest.machine)  # a limit above the kernel's own bound would stop a service
    sysctls = render("vm/machine/sysctl.conf.j2", context)
    own[f"etc/sysctl.d/{SYSCTLS}"] = RenderedFile(content=sysctls.encode())
    return own | dict(systemd_scripts(guest.machine))


def _script(template: str, context: Mapping[str, object]) -> RenderedFile:
    return RenderedFile(content=render(template, context).encode(), executable=True)
