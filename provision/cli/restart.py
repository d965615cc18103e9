"""provision restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.asking import asks_with_words, machine_option
from provision.cli.show import progress, say

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("restart", options_metavar="[SPEC] [OPTIONS]")
@asks_with_words("[SERVICE]…")
@machine_option
def command(asked: Request, words: tuple[str, ...], machine: str | None) -> None:
    """Restart services, all or the named ones, and wait until they are ready."""
    from provision import engine

    restarted = engine.restart(engine.resolve(asked), words, machine, progress())
    say(f"restarted: {', '.join(restarted)}" if restarted else "there are no services")
