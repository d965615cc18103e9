"""provision pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.options import machine_option, with_request
from provision.cli.show import progress, say

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("pause")
@with_request
@machine_option
def command(request: Request, machine: str | None) -> None:
    """Let the machines, or one of them, stand still in memory; unpause lets them go on."""
    from provision import engine

    ref = engine.resolve(request)
    done = engine.pause(ref, progress(), machine)
    what = machine or ref.name
    say(f"{what} is paused" if done else f"{what} was not running")
