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
    from collections.abc import Iterator, Mapping, Sequence

    from provision.drift import Drift
    from provision.engine import Request
    from provision.model import Environment, MachineStatus


@click.command("status")
@with_request
@machine_option
@format_option
@click.option("--drift", "with_drift", is_flag=True,
              help="Also tell which machines someone has changed since they became ready.")  # fmt: skip
def command(request: Request, machine: str | None, form: str, with_drift: bool) -> None:  # noqa: FBT001 - click's contract
    """Show the machines, their ports and services."""
    from provision import engine

    environment = engine.load(request, looking=True)
    with progress().wait("querying the machines"):
        machines = engine.status(environment, request.backend, machine)
    drifts = _drifts(environment, request.backend, machines) if with_drift else None
    if form == "json":
        answer = {"name": environment.name, "backend": request.backend,
                  "machines": [_data(each, drifts) for each in machines]}  # fmt: skip
        click.echo(json.dumps(answer, indent=2))
        return
    by_node = any(each.node for each in machines)
    rows = [
        (
            each.name,
            *([each.node or "-"] if by_node else []),
            each.state,
            each.address or "-",
            in_a_cell(each.ports) or "-",
            " ".join(f"{service.name}={service.state}" for service in each.services) or "-",
            *([_word(drifts.get(each.name))] if drifts is not None else []),
        )
        for each in machines
    ]
    head = ["MACHINE", *(["NODE"] if by_node else []), "STATE", "ADDRESS", "PORTS", "SERVICES"]
    table([*head, *([] if drifts is None else ["DRIFT"])], rows)
    for each in machines:
        if each.note:
            say(f"{each.name}: {each.note}")
    for line in left_behind(environment) if all(each.state == "absent" for each in machines) else ():
        say(line)
    for each in machines:
        if each.kept:
            size = f"{each.kept / 1024**2:.0f} MiB"
            removes = completed(command_of("down", "--images"), request)
            say(f"{each.name} has a saved state for its next start: {size} ({removes} removes it)")

    for line in _advice(request, drifts or {}):
        say(line)


def _drifts(environment: Environment, backend: str, machines: Sequence[MachineStatus]) -> Mapping[str, Drift]:
    """What is known of those that run."""
    from provision import drift

    running = [each.name for each in machines if each.state in ("running", "unhealthy")]
    with progress().wait("comparing them with their inventories"):
        return drift.of_machines(environment, backend, running)


def _word(drift: Drift | None) -> str:
    if drift is None:
        return "-"
    if drift.comparison is None:
        return "unknown"
    count = len(drift.comparison.unexplained)
    return f"drifted ({count})" if count else "none"


def _advice(request: Request, drifts: Mapping[str, Drift]) -> Iterator[str]:
    for each in drifts.values():
        if each.lacking:
            yield completed(each.lacking, request)
    drifted = [each.machine for each in drifts.values() if each.comparison and each.comparison.unexplained]
    if drifted:
        shows = completed(command_of("diff", "--since-up"), request)
        yield f"{shows} shows what is changed in {', '.join(drifted)}"


def _data(machine: MachineStatus, drifts: Mapping[str, Drift] | None) -> dict[str, object]:
    """What a program may read; `kept`, `node`, `note` where there is something, `drift` if asked."""
    data = dataclasses.asdict(machine)
    if drifts is not None:
        drift = drifts.get(machine.name)
        known = drift.comparison if drift else None
        data["drift"] = {
            "differences": len(known.unexplained) if known else None,
            "reason": drift.lacking if drift and drift.lacking else None,
        }
    return {name: value for name, value in data.items() if value or name not in ("kept", "node", "note")}
