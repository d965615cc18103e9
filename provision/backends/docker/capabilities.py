"""What containers offer a spec on this host, and what they cannot."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from provision.backends import starts
from provision.backends.base import Capabilities
from provision.backends.container_image import PACKAGES
from provision.backends.container_labels import ENVIRONMENT
from provision.backends.docker import systemd
from provision.backends.docker.limits import refused_limits
from provision.backends.docker.runtimes import has_own_kernel, refused_runtimes, selects_one
from provision.backends.docker.sysctls import refused_sysctls
from provision.backends.requirements import (
    NO_FOLDERS,
    TITLES,
    Reasons,
    cannot,
    folders_of,
    required,
    volumes_kept,
)
from provision.docker_client import endpoint, queries
from provision.errors import HostLacks
from provision.state import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provision.model import Capability, Environment, Machine
    from provision.state import StateDir

HINT = "`-b vm` provides it"
KVM = "/dev/kvm"


def lacks(machine: Machine) -> Mapping[Capability, str]:
    """What no container can provide."""
    reasons: Reasons = {}
    if not has_own_kernel(machine):
        reasons["kernel"] = "a container shares the host's kernel: it cannot load modules or set its sysctls"
    if machine.base.family not in PACKAGES:
        reasons["systemd"] = f"{machine.base.name} has no systemd"
    return reasons


def supports(machine: Machine) -> frozenset[str]:
    """The capabilities that checks can require and this machine has."""
    given: set[Capability] = {each.name for each in machine.requires if each.name in ("kvm", "gpu")}
    given |= {"kernel"} if has_own_kernel(machine) else set()
    return frozenset(given | ({"systemd"} if systemd.is_init(machine) else set()))


def require_host(environment: Environment) -> None:
    """Raise HostLacks if this host lacks what the machines require."""
    reasons = _host_lacks(_wanted(environment))
    if reasons:
        raise HostLacks(
            f"this host cannot provide a container with {' and '.join(TITLES[name] for name in reasons)}",
            evidence=list(reasons.values()),
            hint=f"{HINT} where the host allows it",
        )
    if refused := _refused_runtimes(environment):
        raise HostLacks(
            "the Docker engine does not know a runtime of the spec",
            evidence=refused,
            hint="add it to `runtimes` in the engine's daemon.json, choose one that it has,"
            f" or leave `backends.docker.runtime` out; {HINT} a kernel of its own",
        )
    if refused := _refused_by_builder(environment):
        raise HostLacks(
            "the engine has no BuildKit, and its own builder lacks what the spec needs",
            evidence=refused,
            hint="use Docker's engine (DOCKER_HOST, DOCKER_CONTEXT), or a virtual machine: `-b vm`",
        )
    if refused := refused_limits(environment):
        raise HostLacks(
            "the Docker engine cannot grant a service its limits",
            evidence=refused,
            hint="lower the limit, raise it on the host, or use a virtual machine: `-b vm`",
        )
    if refused := refused_sysctls(environment):
        raise HostLacks(
            "this host's kernel lacks a parameter of `sysctls`",
            evidence=refused,
            hint="correct its name, load its module on the host, or take a virtual machine: `-b vm`",
        )


def _wanted(environment: Environment) -> frozenset[Capability]:
    requirements = required(environment)
    return requirements | {"systemd"} if any(map(systemd.is_init, environment.machines)) else requirements


def _host_lacks(wanted: frozenset[Capability]) -> Reasons:
    reasons: Reasons = {}
    if "kvm" in wanted and not endpoint.elsewhere() and not os.access(KVM, os.R_OK | os.W_OK):
        reasons["kvm"] = f"{KVM} does not exist, or this user cannot use it"
    if "gpu" in wanted and not _has_gpu():
        reasons["gpu"] = "the Docker engine has no GPU runtime: install NVIDIA's container toolkit"
    if "systemd" in wanted and (reason := systemd.lacking()):
        reasons["systemd"] = reason
    return reasons


def _refused_runtimes(environment: Environment) -> tuple[str, ...]:
    if not selects_one(environment):
        return ()
    return refused_runtimes(environment, queries.engine().runtimes)


def _refused_by_builder(environment: Environment) -> tuple[str, ...]:
    """What machines need while they are built and only BuildKit gives, a line for each."""
    needed = tuple(_of_buildkit(environment))
    return needed if needed and not queries.features().buildkit else ()


def _of_buildkit(environment: Environment) -> Iterator[str]:
    for machine in environment.machines:
        names = dict.fromkeys(name for step in machine.run for name in step.secrets)
        if names:
            yield f"{machine.name}: a step of `run` reads the secret {', '.join(names)} while it is built"
        if machine.proxy is not None and machine.proxy.ca is not None:
            yield f"{machine.name}: the certificate of its proxy is a secret while it is built"


def _has_gpu() -> bool:
    return queries.engine().has_gpu


def describe(environment: Environment, state_dir: StateDir) -> Capabilities:
    """The Docker backend's answers for `explain`."""
    version = queries.version()
    missing = list(_host_lacks(_wanted(environment)).values()) if version else ["no Docker engine answers"]
    if version:
        missing += (
            *_refused_runtimes(environment),
            *_refused_by_builder(environment),
            *refused_limits(environment),
            *refused_sysctls(environment),
        )
    init = "the engine's small init and the spec's services, nothing else"
    if not any(machine.services for machine in environment.machines):
        init = "the engine's small init, nothing else: the spec has no services"
    if any(map(systemd.is_init, environment.machines)):
        init = "systemd"
    return Capabilities(
        aspects={
            "kernel": _kernel(environment),
            "isolation": "namespaces and cgroups, no extra capabilities",
            "start": starts.measured(state_dir, "about a second, once its image is built"),
            "size": _size(environment) if version else "its image",
            "init": init,
            "folders": _folders(environment),
            "persistence": f"`down` keeps {volumes_kept(environment)};"
            " a change of the spec replaces the container",
        },
        cannot=cannot(environment, lacks),
        lacks=tuple(missing),
    )


def _folders(environment: Environment) -> str:
    if not folders_of(environment):
        return NO_FOLDERS
    if environment.is_elsewhere:
        return f"copies on {address_of(environment.host)}, made by `up`, then by `sync --watch`"
    return "the host's own files, live"


def _kernel(environment: Environment) -> str:
    own = [machine.name for machine in environment.machines if has_own_kernel(machine)]
    if len(own) == len(environment.machines):
        return "its own, by its runtime"
    shared = f"the host's, shared: {platform.system()} {platform.release()}"
    return f"{shared}; that of {' and '.join(own)} its own, by its runtime" if own else shared


def _size(environment: Environment) -> str:
    images = queries.images_with(f"{ENVIRONMENT}={environment.name}", dangling=False)
    sizes = [image.size for image in images]
    if not sizes:
        return "its image: the base and what is installed; no memory reserved"
    return f"{sum(sizes) / 1e6:.0f} MB of images; no memory reserved"
