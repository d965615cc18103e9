"""systemd as a container's init, without privileges: what engine, cgroups and base must provide."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from provision.backends.container_image import PACKAGES
from provision.backends.docker.options import options_of
from provision.docker_client import endpoint, queries
from provision.errors import Problem, ProvisionError
from provision.model import Origin
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.docker_client.queries import Cgroups
    from provision.model import Environment, Machine

NAMED = Path("/sys/fs/cgroup/systemd")
START_INTERVAL = (1, 44)  # the first version of the API that has it
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
    """What the engine decides about an environment.

    `cgroups` is the version of its cgroups, which systemd must know; `start_interval` says that it can look
    at a machine's health more often while that starts, `buildkit` that it builds with that.
    """

    cgroups: Cgroups = "2"
    start_interval: bool = True
    buildkit: bool = True


def choose(environment: Environment) -> EngineChoices:
    """What this host's engine decides; as a current one does if it does not answer."""
    try:
        features = queries.features()
        systemd = any(map(is_init, environment.machines))
        return EngineChoices(
            cgroups=queries.engine().cgroups if systemd else "2",
            start_interval=features.api >= START_INTERVAL,
            buildkit=features.buildkit,
        )
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
    is_far = bool(endpoint.elsewhere())
    if not is_far and not NAMED.is_dir():
        return f"with cgroup v1, it needs the hierarchy name=systemd, but {NAMED} does not exist"
    kernel = tuple(
        int(part)
        for part in (engine.kernel if is_far else platform.release()).split(".")[:2]
        if part.isdigit()
    )
    if kernel < RELEASE_AGENT:
        oldest = ".".join(map(str, RELEASE_AGENT))
        return f"with cgroup v1 and a kernel before {oldest}, it could escape its container"
    return ""
