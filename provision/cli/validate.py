"""provision validate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.asking import asks
from provision.cli.show import say, show_demands

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("validate")
@asks
def command(asked: Request) -> None:
    """Check a spec and report every problem in it, each with file, line and column."""
    from provision import engine

    environment = engine.validate(asked)
    show_demands(environment.demands)
    for note in engine.notes(environment, asked.backend):
        say(note)
    machines = ", ".join(f"{m.name} ({m.base.name})" for m in environment.machines)
    say(f"{asked.spec} is valid: {environment.name}, for {asked.backend}: {machines}")
