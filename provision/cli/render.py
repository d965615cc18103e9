"""provision render."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli.options import lock_options, with_request
from provision.cli.show import say, shown_file

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("render")
@lock_options
@with_request
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Write the files to this folder.")  # fmt: skip
def command(request: Request, output: Path | None) -> None:
    """Show the files for the engine, or write them to a folder.

    The folder works without provision: run `docker compose up` or `vagrant up` in it.
    """
    from provision import engine

    files, folder = engine.render(request, output)
    if folder:
        click.echo(folder)
        return
    for path, content in files.items():
        say(f"# --- {path}", bold=True)
        try:
            click.echo(shown_file(content.decode()))
        except UnicodeDecodeError:
            click.echo(f"({len(content)} bytes, not text)")
