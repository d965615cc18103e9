"""provision events."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, machine_option, with_request
from provision.progress import visible

if TYPE_CHECKING:
    from provision.engine import Request
    from provision.model import Event


class _Over(Exception):
    """The time that was asked for is over."""


@click.command("events")
@with_request
@machine_option
@click.option("--for", "seconds", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="End after this time; default: at Ctrl-C.")  # fmt: skip
@format_option
def command(request: Request, machine: str | None, seconds: float | None, form: str) -> None:
    """Show what happens to the machines from now on: they started, died, are healthy.

    With --format json, one object a line.
    """
    from provision import engine

    ref = engine.resolve(request)

    def show(event: Event) -> None:
        if machine in (None, event.machine):
            click.echo(json.dumps(asdict(event)) if form == "json" else visible(line(event)))

    def over(_number: int, _frame: object) -> None:
        raise _Over

    if seconds is not None:
        signal.signal(signal.SIGALRM, over)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        engine.events(ref, show)
    except _Over:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def line(event: Event) -> str:
    """An event for people; pure."""
    code = f" with code {event.code}" if event.code is not None else ""
    return f"{event.time}  {event.machine}  {event.event}{code}"
