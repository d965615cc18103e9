"""provision start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision import hints
from provision.cli.options import completed, machine_option, timeout_option, with_request
from provision.cli.show import progress, say

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("start")
@with_request
@machine_option
@timeout_option
def command(request: Request, machine: str | None, timeout: float) -> None:
    """Start what stop stopped, and wait until it is ready.

    The machines are as they were last applied: a spec that has changed since is not applied.
    """
    from provision import engine

    ref = engine.resolve(request)
    started = engine.start(request, ref, progress(), machine=machine, timeout=timeout)
    what = machine or ref.name
    say(f"{what} is running again" if started.plan.changes else f"{what} was already running")
    if started.changed:
        applies = completed(hints.command("up"), request)
        say(f"the spec has changed and was not applied: {started.changed}; {applies} applies it", err=True)
