"""provision stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.asking import asks, machine_option
from provision.cli.show import progress, say

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("stop")
@asks
@machine_option
def command(asked: Request, machine: str | None) -> None:
    """Stop the machines, or one of them, and keep their data; up starts them again."""
    from provision import engine

    ref = engine.resolve(asked)
    stopped = engine.stop(ref, progress(), machine)
    what = machine or ref.name
    say(f"{what} is stopped" if stopped else f"{what} was not running")
