"""What an engine on another host cannot give: it has none of this host's files, sockets and ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.errors import Problem
from provision.ssh_address import ssh_words
from provision.state import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.model import Environment, Machine

START_HINT = "use an engine on this host, or run provision on that one"


def refused_elsewhere(environment: Environment) -> Iterator[Problem]:
    """What a spec asks for and a container on another host cannot have, each at its place; pure."""
    if not environment.is_elsewhere:
        return
    address = address_of(environment.host)
    for machine in environment.machines:
        yield from _of_machine(machine, address)


def _of_machine(machine: Machine, address: str) -> Iterator[Problem]:
    if machine.workspace is not None and machine.workspace.agent:
        yield Problem(
            f"{machine.name} cannot have your SSH agent: its engine is at {address}",
            machine.workspace.origin,
            f"leave out workspace.forward, or {START_HINT}",
        )
    for port in machine.ports:
        if port.protocol == "udp":
            yield Problem(
                f"{machine.name} cannot publish {port.guest}/udp: its engine is at {address},"
                " and ssh forwards TCP alone",
                port.origin,
                f"leave the port out, or {START_HINT}",
            )
        elif ssh_words(address) is None:
            yield Problem(
                f"{machine.name} cannot publish port {port.guest}: its engine is at {address},"
                " and ports are forwarded by ssh",
                port.origin,
                "reach the engine by ssh:// (`docker context create NAME --docker host=ssh://USER@HOST`),"
                f" or {START_HINT}",
            )
