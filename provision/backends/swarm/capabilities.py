"""What a Swarm offers a spec, what it refuses, and what `doctor` says of it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from provision.backends import starts
from provision.backends.base import Capabilities, Finding
from provision.backends.requirements import NO_FOLDERS, Reasons, cannot, folders_of, unmet, volumes_kept
from provision.backends.swarm.network import has_ipvs, uses_virtual_addresses
from provision.backends.swarm.observe import require_manager
from provision.backends.swarm.options import options_of, registry_of
from provision.backends.swarm.render import groups_of, service_name
from provision.docker_client import swarm
from provision.errors import Problem, ProvisionError
from provision.hints import command
from provision.model import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provision.model import Capability, Environment, Machine
    from provision.state import StateDir

HINT = f"another backend provides it: {command('explain')}"
LONGEST = 63  # letters of a service's name
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what Swarm does, and nothing else


def lacks(machine: Machine) -> Mapping[Capability, str]:
    """What no task of a Swarm can have."""
    del machine
    reasons: Reasons = {
        "kernel": "a container shares its node's kernel",
        "systemd": "a Swarm's service cannot be given the cgroups that systemd writes",
        "kvm": "a Swarm's service cannot be given /dev/kvm",
        "gpu": "a Swarm's service cannot be given the GPUs of a node, but by resources that its admin names",
    }
    return reasons


def refusals(environment: Environment) -> Iterator[Problem]:
    """What no Swarm can make of the machines, each at its place."""
    yield from unmet(environment, lacks, HINT)
    for group in groups_of(environment):
        if len(full := service_name(environment, group.name)) > LONGEST:
            message = f"the Swarm's name for {group.name}, {full}, is longer than {LONGEST} letters"
            yield Problem(message, _start(environment), "use a shorter name")
    for machine in environment.machines:
        yield from _ports(machine)
        workspace = machine.workspace
        if workspace is not None and workspace.agent:
            yield Problem(
                f"{machine.name} forwards an SSH agent, which is on this host and not on a node",
                workspace.origin,
                "leave `forward` out",
            )
    if len({options_of(machine).registry for machine in environment.machines} - {""}) > 1:
        yield Problem(
            "the machines name different registries",
            _start(environment),
            "name one for all",
        )


def _start(environment: Environment) -> Origin:
    return Origin(file=str(environment.spec), line=1, column=1)


def _ports(machine: Machine) -> Iterator[Problem]:
    """Ports with an address: a Swarm publishes on every address of a node, or not at all."""
    for port in machine.ports:
        if port.address in ANYWHERE or port.optional:
            continue
        where = "this host's loopback" if ipaddress.ip_address(port.address).is_loopback else port.address
        parts = [f"guest: {port.guest}", *([f"host: {port.host}"] if port.host else []), "address: 0.0.0.0"]
        written = ", ".join([*parts, *(["protocol: udp"] if port.protocol == "udp" else [])])
        yield Problem(
            f"{machine.name} publishes port {port.guest} on {where}:"
            " a Swarm publishes on every address of a node",
            port.origin,
            f"say so for this backend alone: `backends: {{swarm: {{ports: [{{{written}}}]}}}}`"
            " with --allow network, or leave the port out: machines reach each other without",
        )


def describe(environment: Environment, state_dir: StateDir) -> Capabilities:
    """The Swarm backend's answers for `explain`."""
    missing, nodes = [], 0
    try:
        require_manager()
        nodes = len(swarm.nodes())
        if nodes > 1 and not registry_of(environment):
            missing.append("no registry is named that the nodes pull images from")
    except ProvisionError as error:
        missing.append(error.message)
    virtual = uses_virtual_addresses(environment)
    return Capabilities(
        aspects={
            "kernel": "each node's own, shared by its containers",
            "isolation": "namespaces and cgroups, no extra capabilities",
            "start": starts.measured(state_dir, "some seconds, once its image is in the registry"),
            "size": f"its image, on each of {nodes} nodes that runs it"
            if nodes
            else "its image, on each node that runs it",
            "init": "the engine's small init and the spec's services, nothing else",
            "folders": _folders(environment),
            "persistence": f"`down` keeps {volumes_kept(environment)};"
            " a change of the spec replaces containers",
            "network": "virtual addresses, ports on every node"
            if virtual
            else "the addresses of tasks (dnsrr), ports on the node that runs the machine"
            + ("" if has_ipvs() else ": this kernel has no IPVS"),
        },
        cannot=(*cannot(environment, lacks), *_never(environment)),
        lacks=tuple(missing),
    )


def _never(environment: Environment) -> Iterator[str]:
    for machine in environment.machines:
        for problem in _ports(machine):
            yield problem.message


def _folders(environment: Environment) -> str:
    if not folders_of(environment):
        return NO_FOLDERS
    local = [
        each
        for each in environment.machines
        if (each.workspace or each.mounts) and options_of(each).folders == "local"
    ]
    return "live, on the node of this engine alone" if local else "live, at the same path of every node"


def examine() -> tuple[Finding, ...]:
    """The engine's part in a Swarm, its nodes, and IPVS."""
    try:
        require_manager()
        nodes = swarm.nodes()
    except ProvisionError as error:
        return (Finding(subject="Swarm", usable=False, detail=error.message, hint=error.hint),)
    ready = [node for node in nodes if node.ready]
    managers = [node for node in nodes if node.manager in ("leader", "reachable")]
    return (
        Finding(
            subject="Swarm",
            usable=True,
            detail=f"{len(ready)} of {len(nodes)} nodes ready, {len(managers)} managers answer",
        ),
        Finding(
            subject="IPVS",
            usable=True,
            detail="in this host's kernel"
            if has_ipvs()
            else "not in this host's kernel: dnsrr and host ports",
        ),
    )
