"""provision logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.options import machine_option, with_request_and_words

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("logs", options_metavar="[SPEC] [OPTIONS]")
@with_request_and_words("[SERVICE]…")
@machine_option
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines.")
def command(request: Request, words: tuple[str, ...], machine: str | None, follow: bool) -> None:  # noqa: FBT001 - click's flag
    """Show the output of all services, or of the named ones; `setup` counts as one."""
    from provision import engine

    engine.logs(engine.resolve(request), words, click.echo, machine=machine, follow=follow)
