"""provision down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.asking import asks
from provision.cli.show import progress

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("down")
@asks
@click.option("--volumes", is_flag=True, help="Remove its volumes too: their data is gone then.")
@click.option("--images", is_flag=True, help="Remove what was built for it too.")
def command(asked: Request, volumes: bool, images: bool) -> None:  # noqa: FBT001 - click's flags
    """Remove the machines; volumes stay unless --volumes."""
    from provision import engine

    ref = engine.resolve(asked)
    there = engine.down(ref, progress(), volumes=volumes, images=images)
    click.echo(f"{ref.name} is down" if there else f"{ref.name} was not up")
