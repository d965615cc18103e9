"""What a spec asks and a driver cannot give: refused before anything is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.vm.driver import KeepsVolumes
from provision.backends.vm.options import options_of
from provision.errors import Problem
from provision.model import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.backends.vm.driver import Driver
    from provision.model import Environment, Machine


def unsupported(environment: Environment, driver: Driver) -> Iterator[Problem]:
    """All that would be lost silently with this driver."""
    place = Origin(file=str(environment.spec), line=1, column=1)
    for machine in environment.machines:
        yield from _problems(machine, driver)
        accelerator = options_of(machine).accelerator or "auto"
        if accelerator != "auto" and accelerator not in driver.accelerators:
            yield Problem(
                f"{driver.name} cannot run {machine.name} with the accelerator {accelerator}",
                place,
                f"choose from auto, {', '.join(sorted(driver.accelerators))}"
                if driver.accelerators
                else "remove it: this hypervisor decides that itself",
            )
    if len(environment.machines) > 1 and not driver.joins_private_network:
        yield Problem(
            f"{driver.name} cannot connect {len(environment.machines)} machines in a private network",
            place,
            "use qemu, libvirt or virtualbox, or containers with `-b docker`",
        )


def _problems(machine: Machine, driver: Driver) -> Iterator[Problem]:
    numbers = [port.host for port in machine.ports]
    for port in machine.ports:
        if driver.forwards_by_number and port.host and numbers.count(port.host) > 1:
            yield Problem(
                f"{driver.name} cannot forward the host's port {port.host} on two addresses",
                port.origin,
                "give each address its own port, or use containers (`-b docker`)",
            )
        if port.protocol not in driver.forwards:
            yield Problem(
                f"{driver.name} cannot forward the {port.protocol.upper()} port {port.guest}",
                port.origin,
                "remove it with `backends: {vm: {ports: !replace […]}}`, or use another provider",
            )
        elif ":" in port.address and not driver.forwards_ipv6:
            yield Problem(
                f"{driver.name} cannot bind port {port.guest} to the IPv6 address {port.address}",
                port.origin,
                "bind it to an IPv4 address, like 127.0.0.1, or use libvirt or containers (`-b docker`)",
            )
    if not isinstance(driver, KeepsVolumes):
        for volume in machine.volumes:
            yield Problem(
                f"{driver.name} has no volumes: {volume.name} would be lost with the machine",
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
