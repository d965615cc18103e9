"""Kernel parameters in containers: files without effect there, and values that the engine refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from provision.backends.docker.limits import is_local
from provision.backends.docker.runtimes import has_own_kernel
from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provision.model import Environment, Machine

PROC = Path("/proc")
_OF_AN_INTERFACE = re.compile(r"net\.\w+\.(conf|neigh)\.")
_READ_AT_BOOT = re.compile(r"/etc/sysctl\.conf|/(etc|run|usr/lib|usr/local/lib|lib)/sysctl\.d(/.*)?")


def notes_on_sysctl_files(environment: Environment) -> tuple[str, ...]:
    """Notes on files that only a boot reads: a container doesn't boot."""
    return tuple(note for machine in environment.machines for note in _notes(machine))


def _notes(machine: Machine) -> Iterator[str]:
    for file in machine.files:
        if file.kind != "absent" and _READ_AT_BOOT.fullmatch(file.path):
            yield (
                f"{file.origin.file}:{file.origin.line}: {file.path} has no effect in a container:"
                " use the key `sysctls`"
            )


def refused_sysctls(environment: Environment) -> tuple[str, ...]:
    """The kernel parameters that this host's kernel does not have, each with its place.

    Those of one network interface are not looked for: a container has others than the host. Some
    that the host has are missing in a container: only the engine knows.
    """
    missing = [
        f"{sysctl.origin.file}:{sysctl.origin.line}: this kernel has no {sysctl.name}"
        for machine in environment.machines
        if not has_own_kernel(machine)
        for sysctl in machine.sysctls
        if not _OF_AN_INTERFACE.match(sysctl.name)
        and not (PROC / "sys" / sysctl.name.replace(".", "/")).exists()
    ]
    return tuple(dict.fromkeys(missing)) if missing and is_local() else ()


def sysctl_refused(lines: Sequence[str], environment: Environment) -> EnvironmentFailed | None:
    """The error if the engine could not set a kernel parameter; None if that was not the cause."""
    for line in lines:
        match = re.search(r"/proc/sys/([\w/.-]+)|sysctl key ([\w.-]+)", line)
        if match is None:
            continue
        name = (match[1] or match[2]).replace("/", ".")
        places = [
            f"{sysctl.origin.file}:{sysctl.origin.line}: {name}: {sysctl.value}"
            for machine in environment.machines
            for sysctl in machine.sysctls
            if sysctl.name == name
        ]
        hint = "the kernel rejects this value: correct it"
        if "invalid argument" not in line:
            hint = (
                "this kernel has no such parameter for a container: correct the name,"
                " or add `requires: [kernel]` and use a virtual machine: `-b vm`"
            )
        return EnvironmentFailed(
            f"the engine cannot set {name} in a container", evidence=(*places, line), hint=hint
        )
    return None
