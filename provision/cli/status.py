"""provision status."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from provision.cli.options import completed, format_option, machine_option, with_request
from provision.cli.port_ranges import in_a_cell
from provision.cli.show import left_behind, progress, say, table
from provision.hints import command as command_of

if TYPE_CHECKING:
    from provision.engine import Request
    from provision.model import MachineStatus


@click.command("status")
@with_request
@machine_option
@format_option
def command(request: Request, machine: str | None, form: str) -> None:
    """Show the machines, their ports and services."""
    from provision import engine

    environment = engine.load(request, looking=True)
    with progress().wait("querying the machines"):
        machines = engine.status(environment, request.backend, machine)
    if form == "json":
        answer = {"name": environment.name, "backend": request.backend,
                  "machines": [_data(each) for each in machines]}  # fmt: skip
        click.echo(json.dumps(answer, indent=2))
        return
    rows = [
        (
            each.name,
            each.state,
            each.address or "-",
            in_a_cell(each.ports) or "-",
            " ".join(f"{service.name}={service.state}" for service in each.services) or "-",
        )
        for each in machines
    ]
    table(["MACHINE", "STATE", "ADDRESS", "PORTS", "SERVICES"], rows)
    for line in left_behind(environment) if all(each.state == "absent" for each in machines) else ():
        say(line)
    for each in machines:
        if each.kept:
            size = f"{each.kept / 1024**2:.0f} MiB"
            removes = completed(command_of("down", "--images"), request)
            say(f"{each.name} has a saved state for its next start: {size} ({removes} removes it)")


def _data(machine: MachineStatus) -> dict[str, object]:
    """What a program may read; `kept` is there where something is."""
    told = dataclasses.asdict(machine)
    return told if machine.kept else {name: value for name, value in told.items() if name != "kept"}
