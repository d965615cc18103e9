"""provision stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.asking import asks, machine_option
from provision.cli.show import progress

if TYPE_CHECKING:
    from provision.engine import Asked


@click.command("stop")
@asks
@machine_option
def command(asked: Asked, machine: str | None) -> None:
    """Stop the machines, or one, and keep what is in them; up starts them again."""
    from provision import engine

    known = engine.know(asked)
    stopped = engine.stop(known, progress(), machine)
    what = machine or known.name
    click.echo(f"{what} is stopped" if stopped else f"{what} was not running")
