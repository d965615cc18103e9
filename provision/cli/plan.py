"""provision plan."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, with_request
from provision.cli.show import demands_data, left_behind, progress, say, show_demands, table

if TYPE_CHECKING:
    from provision.engine import Request

WORDS = {
    "create": "create",
    "recreate": "recreate",
    "change": "change in place",
    "refresh": "update a secret or a mounted file, restart its services",
    "start": "start",
    "wait": "wait until it is ready",
    "none": "no change",
    "remove": "remove (no longer in the spec)",
}


@click.command("plan")
@with_request
@format_option
def command(request: Request, form: str) -> None:
    """Show what `up` would do, without changing anything."""
    from provision import engine

    environment = engine.load(request)
    with progress().wait("checking what is running"):
        plan = engine.plan(environment, request.backend)
    if form == "json":
        answer = {
            "name": environment.name,
            "backend": request.backend,
            "build": bool(plan.build),
            "images": list(plan.build),
            "machines": [{"name": name, "action": action} for name, action in plan.actions.items()],
            "notes": list(plan.notes),
            "trust": demands_data(environment.demands),
        }
        click.echo(json.dumps(answer, indent=2))
        return
    show_demands(environment.demands)
    for line in left_behind(environment) if "create" in plan.actions.values() else ():
        say(line)
    for image in plan.build:
        say(f"the image {image} will be built first")
    for note in plan.notes:
        say(note)
    table(["MACHINE", "ACTION"], [(name, WORDS[action]) for name, action in plan.actions.items()])
