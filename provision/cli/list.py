"""provision list."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option
from provision.cli.port_ranges import in_a_cell
from provision.cli.show import progress, table

if TYPE_CHECKING:
    from provision.listing import Listed

UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@click.command("list")
@format_option
def command(form: str) -> None:
    """List all your environments, in every backend, from any folder.

    `provision down NAME` removes one, from any folder; use its ID if several share a name.
    """
    from provision.listing import list_environments

    with progress().wait("querying the engines"):
        listed = list_environments()
    if form == "json":
        click.echo(json.dumps({"environments": [_data(each) for each in listed]}, indent=2))
        return
    if not listed:
        click.echo("no environments yet: `provision up SPEC` creates one")
        return
    rows = [
        (
            each.ref.name,
            each.ref.state_dir.id,
            each.ref.backend.name,
            each.state,
            in_a_cell([port for ports in each.remains.ports.values() for port in ports]) or "-",
            _age(each.created),
            _size(each.usage.disk if each.usage else None),
            _size(each.memory),
            str(each.ref.state_dir.project or "-"),
            _notes(each),
        )
        for each in listed
    ]
    table(["NAME", "ID", "BACKEND", "STATE", "PORTS", "AGE", "DISK", "MEMORY", "FOLDER", "NOTES"], rows)
    if any(each.remains.volumes and not each.remains.machines for each in listed):
        click.echo("`provision down NAME --volumes` removes an environment's volumes and their data")


def _notes(listed: Listed) -> str:
    notes = [listed.problem, listed.missing]
    if not listed.remains.machines:
        notes += [
            _counted(len(listed.remains.volumes), "volume"),
            _counted(len(listed.remains.built), "image"),
        ]
    return ", ".join(note for note in notes if note) or "-"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''} kept" if number else ""


def _age(created: str) -> str:
    if not created:
        return "-"
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds()
    except (ValueError, TypeError):
        return "-"
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), (1, "s"))
    return f"{max(0, int(seconds // size))} {unit}"


def _size(size: int | None) -> str:
    from provision.spec.quantities import shown_size

    return "-" if size is None else shown_size(size)


def _data(listed: Listed) -> dict[str, object]:
    state_dir, ports = listed.ref.state_dir, listed.remains.ports
    return {
        "name": listed.ref.name,
        "id": state_dir.id,
        "backend": listed.ref.backend.name,
        "state": listed.state,
        "created": listed.created or None,
        "disk": listed.usage.disk if listed.usage else None,
        "memory": listed.memory,
        "folder": str(state_dir.project) if state_dir.project else None,
        "spec": str(state_dir.spec) if state_dir.spec else None,
        "problem": listed.problem or listed.missing or None,
        "machines": [
            {
                "name": name,
                "state": state,
                "ports": [asdict(port) for port in ports.get(name, ())],
            }
            for name, state in listed.remains.machines.items()
        ],
        "volumes": list(listed.remains.volumes),
        "built": list(listed.remains.built),
    }
