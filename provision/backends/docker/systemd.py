"""systemd as a container's init, without privileges: what engine, cgroups and base must provide."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provision.backends.container_image import PACKAGES
from provision.backends.docker.options import options_of
from provision.docker_client import queries
from provision.errors import Problem, ProvisionError
from provision.model import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.docker_client.queries import Cgroups
    from provision.model import Environment, Machine

NAMED = Path("/sys/fs/cgroup/systemd")
WRITABLE = 28  # the first engine that gives an unprivileged container cgroups which it may write
RELEASE_AGENT = (5, 17)  # since then only the host's root may set what a v1 hierarchy runs


def is_init(machine: Machine) -> bool:
    """Whether systemd is the machine's process 1."""
    return options_of(machine).init == "systemd" or any(each.name == "systemd" for each in machine.requires)


def without_systemd(environment: Environment) -> Iterator[Problem]:
    """The machines that want systemd as init, but whose base has none."""
    for machine in environment.machines:
        if options_of(machine).init == "systemd" and machine.base.family not in PACKAGES:
            yield Problem(
                f"{machine.name} cannot have systemd as its init: {machine.base.name} has no systemd",
                Origin(file=str(environment.spec), line=1, column=1),
                "use another base, or remove backends.docker.init",
            )


@dataclass(frozen=True, kw_only=True)
class EngineChoices:
    """What the engine decides about an environment: the version of its cgroups, which systemd must know."""

    cgroups: Cgroups = "2"


def choose(environment: Environment) -> EngineChoices:
    """What this host's engine decides, for machines with systemd; unknown if it does not answer."""
    if not any(map(is_init, environment.machines)):
        return EngineChoices()
    try:
        return EngineChoices(cgroups=queries.engine().cgroups)
    except ProvisionError:
        return EngineChoices()


def lacking() -> str:
    """Why this host's engine cannot run systemd in a container without privileges; empty if it can."""
    engine = queries.engine()
    if engine.cgroups == "2":
        version = engine.version
        if not version.split(".")[0].isdigit() or int(version.split(".")[0]) >= WRITABLE:
            return ""
        return (
            f"with cgroup v2, it needs Docker {WRITABLE} or newer to write its cgroups without privileges,"
            f" but this engine is {version}"
        )
    if not NAMED.is_dir():
        return f"with cgroup v1, it needs the hierarchy name=systemd, but {NAMED} does not exist"
    kernel = tuple(int(part) for part in platform.release().split(".")[:2] if part.isdigit())
    if kernel < RELEASE_AGENT:
        oldest = ".".join(map(str, RELEASE_AGENT))
        return f"with cgroup v1 and a kernel before {oldest}, it could escape its container"
    return ""
