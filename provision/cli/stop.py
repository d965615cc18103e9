"""provision stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.options import machine_option, with_request
from provision.cli.show import progress, say

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("stop")
@with_request
@machine_option
def command(request: Request, machine: str | None) -> None:
    """Stop the machines, or one of them, and keep their data; up starts them again."""
    from provision import engine

    ref = engine.resolve(request)
    stopped = engine.stop(ref, progress(), machine)
    what = machine or ref.name
    say(f"{what} is stopped" if stopped else f"{what} was not running")
