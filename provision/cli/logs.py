"""provision logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.asking import asks_with_words, machine_option

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("logs", options_metavar="[SPEC] [OPTIONS]")
@asks_with_words("[SERVICE]…")
@machine_option
@click.option("-f", "--follow", is_flag=True, help="Follow new lines.")
def command(asked: Request, words: tuple[str, ...], machine: str | None, follow: bool) -> None:  # noqa: FBT001 - click's flag
    """Show the output of all services, or of the named ones; `setup` counts as one."""
    from provision import engine

    engine.logs(engine.resolve(asked), words, click.echo, machine=machine, follow=follow)
