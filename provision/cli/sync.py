"""provision sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.options import with_request
from provision.cli.show import progress

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("sync")
@with_request
@click.option("--watch", is_flag=True, help="Keep going: copy each change as it is made.")
def command(request: Request, watch: bool) -> None:  # noqa: FBT001 - click's flag
    """Copy changed folders into the machine; live folders do not need it."""
    from provision import engine

    carried = engine.sync(engine.resolve(request), watch=watch, progress=progress())
    if not carried:
        click.echo("every folder is live: there is nothing to copy")
