"""provision unpause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.options import machine_option, with_request
from provision.cli.show import progress, say

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("unpause")
@with_request
@machine_option
def command(request: Request, machine: str | None) -> None:
    """Let paused machines, or one of them, go on."""
    from provision import engine

    ref = engine.resolve(request)
    done = engine.unpause(ref, progress(), machine)
    what = machine or ref.name
    say(f"{what} is running again" if done else f"{what} was not paused")
