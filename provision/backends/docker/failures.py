"""Turns what a refusing engine printed into errors that a person can act on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.backends.build_errors import led_by
from provision.backends.docker.sysctls import sysctl_refused
from provision.backends.host_faults import find_fault
from provision.errors import EnvironmentFailed, HostLacks
from provision.hints import command

if TYPE_CHECKING:
    from provision.model import Environment
    from provision.process import CommandFailed
    from provision.state import StateDir


# Its address pools give 31 networks, unless its configuration says otherwise.
_NO_NETWORK = re.compile(r"fully subnetted|non-overlapping IPv4 address pool|no available network")


def require_compose() -> None:
    """Raise HostLacks if this docker has no Compose v2; its own message would be misleading."""
    from provision.backends.docker.doctor import compose

    finding = compose()
    if not finding.usable:
        raise HostLacks("Docker has no Compose v2 on this host", evidence=[finding.detail], hint=finding.hint)


def start_failed(error: CommandFailed, state_dir: StateDir, environment: Environment) -> EnvironmentFailed:
    """The error for what the engine refused, with its message and what to change."""
    refused = [line for line in error.evidence if "rror" in line] or error.evidence
    hint = f"full log: {state_dir.log}"
    if any("Range of CPUs" in line for line in refused):
        hint = "lower `resources.cpus`, or override it for this host in NAME.local.yaml"
    if (sysctl_error := sysctl_refused(refused, environment)) is not None:
        return sysctl_error
    if any("setting rlimit" in line for line in refused):
        hint = "the engine cannot raise this limit: lower it in `limits`, or use a VM: `-b vm`"
    if any("port is already allocated" in line or "address already in use" in line for line in refused):
        hint = f"the port was taken in this very moment: {command('up')} again names its holder"
    if any(_NO_NETWORK.search(line) for line in refused):
        return EnvironmentFailed(
            "the Docker engine has no network addresses left",
            evidence=refused,
            hint="each environment takes a network: `provision list` shows them, `provision down NAME`"
            " frees one, `docker network prune` removes those that nothing uses; for more of them, give the"
            ' engine smaller "default-address-pools" in /etc/docker/daemon.json',
        )
    if fault := find_fault(refused):
        hint = f"{fault.hint}; full log: {state_dir.log}"
    message = led_by(fault, "the containers could not be started")
    return EnvironmentFailed(message, evidence=refused, hint=hint)
