"""provision plan."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, NoReturn

import click

from provision.cli.options import format_option, lock_options, with_request
from provision.cli.show import demands_data, left_behind, progress, say, show_demands, table

if TYPE_CHECKING:
    from provision.backends.base import Plan
    from provision.engine import Request

EXIT_CHANGES = 10
WORDS = {
    "create": "create",
    "recreate": "recreate",
    "change": "change in place",
    "refresh": "update a secret or a mounted file, restart its services",
    "start": "start",
    "wait": "wait until it is ready",
    "none": "no change",
    "remove": "remove",
}


@click.command("plan")
@lock_options
@with_request
@format_option
def command(request: Request, form: str) -> None:
    """Show what `up` would do, and why, without changing anything.

    The exit code is 0 if there is nothing to do, 10 if `up` would change something.
    """
    from provision import engine

    environment = engine.load(request)
    with progress().wait("checking what is running"):
        plan = engine.plan(environment, request.backend)
    if form == "json":
        answer = {
            "name": environment.name,
            "backend": request.backend,
            "build": bool(plan.build),
            "images": [{"name": planned.image, "cause": planned.cause} for planned in plan.build],
            "pulls": [dataclasses.asdict(planned) for planned in plan.pulls],
            "machines": [
                {
                    "name": planned.machine,
                    "action": planned.action,
                    "cause": planned.cause,
                    "loses": planned.loses or None,
                    "keeps": list(planned.keeps),
                }
                for planned in plan.machines
            ],
            "seconds": plan.seconds,
            "notes": list(plan.notes),
            "trust": demands_data(environment.demands),
        }
        click.echo(json.dumps(answer, indent=2))
        _exit(plan)
    show_demands(environment.demands)
    for line in left_behind(environment) if "create" in plan.actions.values() else ():
        say(line)
    pulled = {pull.name for pull in plan.pulls if pull.found}
    for build in plan.build:
        if build.image not in pulled:
            say(f"the image {build.image} will be built first: {build.cause}")
    for pull in plan.pulls:
        say(
            f"{pull.what} will be pulled from {pull.source}"
            if pull.found
            else f"{pull.what} will be built, not pulled from {pull.source}: {pull.reason}"
        )
    for note in plan.notes:
        say(note)
    rows = [(planned.machine, WORDS[planned.action], planned.cause) for planned in plan.machines]
    table(["MACHINE", "ACTION", "CAUSE"], rows)
    for line in consequences(plan):
        say(line)
    _exit(plan)


def consequences(plan: Plan) -> list[str]:
    """What the plan throws away, what it keeps, and how long the last such change took."""
    lines = []
    for planned in plan.machines:
        if planned.loses:
            kept = (
                f"; it keeps {', '.join(f'volume {name}' for name in planned.keeps)}" if planned.keeps else ""
            )
            lines.append(f"{planned.machine} loses {planned.loses}{kept}")
    if plan.seconds is not None:
        lines.append(f"the last such change took {plan.seconds:.0f} s")
    return lines


def _exit(plan: Plan) -> NoReturn:
    """With 10 where `up` would change something, so that a script can tell."""
    raise click.exceptions.Exit(EXIT_CHANGES if plan.changes else 0)
