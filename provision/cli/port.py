"""provision port."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, with_request_and_words
from provision.cli.show import progress, say
from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.engine import Request
    from provision.model import PortStatus

_PORT = re.compile(r"(?P<number>\d{1,5})(?:/(?P<protocol>tcp|udp))?", re.ASCII)


@click.command("port", options_metavar="[SPEC] [OPTIONS]")
@with_request_and_words("[MACHINE] [PORT[/udp]]")
@format_option
def command(request: Request, words: tuple[str, ...], form: str) -> None:
    """Print where this host reaches a port of a machine, or every published port.

    The exit code is 1 if the port is not published.
    """
    from provision import engine

    machine, wanted = parse(words)
    ref = engine.resolve(request)
    with progress().wait("checking what is running"):
        published = engine.ports(ref, machine)
    selected = {name: select(ports, wanted) for name, ports in published.items()}
    if form == "json":
        ports = [{"machine": name, **asdict(port)} for name, ports in selected.items() for port in ports]
        click.echo(json.dumps({"name": ref.name, "backend": ref.backend.name, "ports": ports}, indent=2))
    else:
        for line in lines(selected, named=wanted is not None):
            say(line)
    if wanted is not None and not any(selected.values()):
        raise EnvironmentFailed(
            f"port {wanted[0]}/{wanted[1]} of {machine or ref.name} is not published",
            hint=f"published: {', '.join(_guest_ports(published)) or 'no port at all'}",
        )


def parse(words: Sequence[str]) -> tuple[str | None, tuple[int, str] | None]:
    """The machine, and the port with its protocol, that the words name; pure.

    A single word is a port if it looks like one.

    Raises:
        click.UsageError: they are something else.
    """
    *before, last = words or ("",)
    port = _PORT.fullmatch(last)
    machines = before if port else [*before, *([last] if last else [])]
    if len(machines) > 1:
        wrong = f"{last!r} is no port." if len(words) == 2 else "There are too many words."
        raise click.UsageError(f"{wrong} Write: provision port [SPEC] [MACHINE] [PORT[/udp]]")
    if port and not 0 < int(port["number"]) < 65536:
        raise click.UsageError(f"{last!r} is no port: ports are 1 to 65535.")
    wanted = (int(port["number"]), port["protocol"] or "tcp") if port else None
    return (machines[0] if machines else None), wanted


def select(ports: Sequence[PortStatus], wanted: tuple[int, str] | None) -> tuple[PortStatus, ...]:
    """The ports with this number and protocol, or all; pure."""
    return tuple(port for port in ports if wanted in (None, (port.guest, port.protocol)))


def lines(ports: Mapping[str, Sequence[PortStatus]], *, named: bool) -> list[str]:
    """One line for each place where the host reaches a port; pure.

    Args:
        ports: of each machine.
        named: the caller knows which port it is, so only the place is said.
    """
    several = sum(map(bool, ports.values())) > 1 if named else len(ports) > 1
    return [
        (f"{machine} " if several else "")
        + ("" if named else f"{port.guest}/{port.protocol} -> ")
        + port.endpoint
        for machine, each in ports.items()
        for port in each
    ]


def _guest_ports(published: Mapping[str, Sequence[PortStatus]]) -> list[str]:
    return sorted({f"{port.guest}/{port.protocol}" for ports in published.values() for port in ports})
