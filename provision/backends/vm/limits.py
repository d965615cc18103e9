"""What a spec asks and a provider cannot give: refused before anything is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.errors import Problem
from provision.model import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.backends.vm.provider import Provider
    from provision.model import Environment, Machine


def impossible(environment: Environment, provider: Provider) -> Iterator[Problem]:
    """All that would be lost silently with this provider."""
    place = Origin(file=str(environment.spec), line=1, column=1)
    for machine in environment.machines:
        yield from _problems(machine, provider)
        accelerator = machine.options.get("accelerator", "auto")
        if accelerator != "auto" and accelerator not in provider.accelerators:
            yield Problem(
                f"{provider.name} cannot run {machine.name} with the accelerator {accelerator}",
                place,
                f"choose from auto, {', '.join(sorted(provider.accelerators))}"
                if provider.accelerators
                else "remove it: this hypervisor decides that itself",
            )
    if len(environment.machines) > 1 and not provider.joins:
        yield Problem(
            f"{provider.name} cannot connect {len(environment.machines)} machines in a private network",
            place,
            "use qemu, libvirt or virtualbox, or containers with `-b docker`",
        )


def _problems(machine: Machine, provider: Provider) -> Iterator[Problem]:
    numbers = [port.host for port in machine.ports]
    for port in machine.ports:
        if provider.forwards_by_number and port.host and numbers.count(port.host) > 1:
            yield Problem(
                f"{provider.name} cannot forward the host's port {port.host} on two addresses",
                port.origin,
                "give each address its own port, or use containers (`-b docker`)",
            )
        if port.protocol not in provider.forwards:
            yield Problem(
                f"{provider.name} cannot forward the {port.protocol.upper()} port {port.guest}",
                port.origin,
                "remove it with `backends: {vm: {ports: !replace […]}}`, or use another provider",
            )
        elif ":" in port.address and not provider.forwards_ipv6:
            yield Problem(
                f"{provider.name} cannot bind port {port.guest} to the IPv6 address {port.address}",
                port.origin,
                "bind it to an IPv4 address, like 127.0.0.1, or use libvirt or containers (`-b docker`)",
            )
    if not provider.keeps_volumes:
        for volume in machine.volumes:
            yield Problem(
                f"{provider.name} has no volumes: {volume.name} would be lost with the machine",
                volume.origin,
                "use libvirt or virtualbox, or remove it with `backends: {vm: {volumes: {NAME: null}}}`",
            )
    for mount in machine.mounts:
        if mount.source.is_file():
            yield Problem(
                f"{mount.source.name} is a file: a virtual machine mounts folders",
                mount.origin,
                "mount its folder, or copy it when the machine is created: `files: {PATH: {source: …}}`",
            )
