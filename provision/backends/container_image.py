"""The image of a machine that is a container: a build context, the same whichever engine runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass
from provision.recipe.contents import contents, payload
from provision.recipe.limits import SOFT_FILES, ULIMITS, hard_files
from provision.recipe.lock import FOLDER, lock_files
from provision.recipe.repositories import repository_files
from provision.recipe.steps import steps
from provision.recipe.systemd import systemd_scripts
from provision.recipe.times import CRASHES, SOON
from provision.rendering import RenderedFile, digest_of, render

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from provision.model import Environment, Family, Machine, Step

GRACE = 30  # seconds that a service has to end
SUPERVISING = ("control", "group", "service", "state", "supervise")
PACKAGES: Mapping[Family, tuple[str, ...]] = {
    "apt": ("systemd", "systemd-sysv", "dbus"),
    "dnf": ("systemd", "dbus-broker"),
}
"""What a base lacks of systemd, where that is process 1."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """The image of a machine, or of all equal machines: its build context, by path."""

    name: str
    folder: str
    files: Mapping[str, RenderedFile]
    secrets: tuple[str, ...]


def image_names(environment: Environment, recipes: Mapping[str, str]) -> Mapping[str, str]:
    """The image of each machine, by the machine's name: named by its content, so equal machines share one."""
    named = {
        machine.name: f"provision/{environment.name}" + (f"/{machine.group}" if environment.several else "")
        for machine in environment.machines
    }
    return {machine: f"{name}:{recipes[machine][:12]}" for machine, name in named.items()}


def folder_names(environment: Environment, recipes: Mapping[str, str]) -> Mapping[str, str]:
    """The folder that each machine is built in: one for equal machines, unless their builds differ."""
    if not environment.several:
        return {machine.name: "." for machine in environment.machines}
    builds: dict[str, set[str]] = {}
    for machine in environment.machines:
        builds.setdefault(machine.group, set()).add(recipes[machine.name])
    return {
        machine.name: f"./{machine.group if len(builds[machine.group]) == 1 else machine.name}"
        for machine in environment.machines
    }


def images_of(
    environment: Environment,
    *,
    systemd: Collection[str] = (),
    cgroup_v1: Collection[str] = (),
    buildkit: bool = True,
) -> Mapping[str, Image]:
    """The image of each machine; equal machines share one. Pure.

    Args:
        environment: whose machines they are.
        systemd: the machines whose process 1 is systemd.
        cgroup_v1: those of them whose engine has cgroups of the first version.
        buildkit: the engine builds with BuildKit.
    """
    taken: dict[str, tuple[Step, ...]] = {}
    contexts: dict[str, Mapping[str, RenderedFile]] = {}
    for each in environment.machines:
        init, old = each.name in systemd, each.name in cgroup_v1
        scripts = {**contents(each, cgroup_v1=old), **_own_scripts(each, systemd=init, cgroup_v1=old)}
        runtime = PACKAGES[each.base.family] if init else ()
        taken[each.name] = steps(each, scripts, runtime, init=init, systemd=init)
        contexts[each.name] = _context(environment, each, taken[each.name], scripts, buildkit=buildkit)
    recipes = {name: digest_of(files) for name, files in contexts.items()}
    folders = folder_names(environment, recipes)
    return {
        machine: Image(
            name=name,
            folder=folders[machine],
            files=contexts[machine],
            secrets=tuple(name for step in taken[machine] for name in step.secrets),
        )
        for machine, name in image_names(environment, recipes).items()
    }


def _context(
    environment: Environment,
    machine: Machine,
    taken: tuple[Step, ...],
    scripts: Mapping[str, RenderedFile],
    *,
    buildkit: bool,
) -> Mapping[str, RenderedFile]:
    """What a machine is built from: Dockerfile, steps, and the files that they bring."""
    dockerfile = render(
        "container/Dockerfile.j2",
        {
            "environment": environment,
            "machine": machine,
            "steps": taken,
            # Podman's builder has no private caches, so each step has its own; and it takes a layer for
            # that of an equal instruction, whatever is in the script, so the instruction names it.
            "alone": not buildkit,
        },
    )
    made = {"Dockerfile": _text(dockerfile)}
    for step in taken:
        made[f"steps/{step.name}.sh"] = RenderedFile(content=step.script.encode(), executable=True)
    made |= {f"files/{path}": file for path, file in payload(machine).items()}
    made |= {f"repositories/{path}": file for path, file in repository_files(machine).items()}
    made |= {f"{FOLDER}/{path}": file for path, file in lock_files(machine).items()}
    return made | {f"machine/{path}": file for path, file in scripts.items()}


def start_stages(machine: Machine) -> tuple[tuple[str, ...], ...]:
    """The names of its services, needed ones first; they stop in reverse order."""
    services = {service.name: service for service in machine.services}

    def depth(name: str) -> int:
        return max((1 + depth(need) for need in services[name].needs), default=0)

    depths = {name: depth(name) for name in services}
    return tuple(
        tuple(name for name in services if depths[name] == stage)
        for stage in range(max(depths.values(), default=-1) + 1)
    )


def _own_scripts(machine: Machine, *, systemd: bool, cgroup_v1: bool) -> Mapping[str, RenderedFile]:
    """How a container starts its services and knows their state."""
    context: dict[str, object] = {"machine": machine}
    if systemd:
        own = {name: _executable(f"container/machine/{name}.j2", context) for name in ("attach", "init")}
        return {"start": own.pop("init"), **own, **systemd_scripts(machine, cgroup_v1=cgroup_v1)}
    limited = any(service.limits for service in machine.services)
    context |= {"limits": ULIMITS if limited else {}, "grace": GRACE, "crashes": CRASHES, "soon": SOON}
    context |= {"files": (SOFT_FILES, hard_files(machine))}
    context |= {"stages": start_stages(machine)}
    scripts = ("start", "runtime", *(SUPERVISING if machine.services else ()))
    return {name: _executable(f"container/machine/{name}.j2", context) for name in scripts}


def _executable(template: str, context: Mapping[str, object]) -> RenderedFile:
    return RenderedFile(content=render(template, context).encode(), executable=True)


def _text(text: str) -> RenderedFile:
    return RenderedFile(content=text.encode())
