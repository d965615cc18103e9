"""provision restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.options import machine_option, with_request_and_words
from provision.cli.show import progress, say

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("restart", options_metavar="[SPEC] [OPTIONS]")
@with_request_and_words("[SERVICE]…")
@machine_option
def command(request: Request, words: tuple[str, ...], machine: str | None) -> None:
    """Restart services, all or the named ones, and wait until they are ready."""
    from provision import engine

    restarted = engine.restart(engine.resolve(request), words, machine, progress())
    say(f"restarted: {', '.join(restarted)}" if restarted else "there are no services")
