"""provision graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli.options import with_request

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("graph")
@with_request
@click.option("--format", "form", type=click.Choice(["mermaid", "svg"]), default="mermaid", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write it to this file.")  # fmt: skip
def command(request: Request, form: str, output: Path | None) -> None:
    """Draw the environment: machines, ports, services, volumes, and which needs which.

    Markdown pages on GitHub and GitLab draw Mermaid; SVG is an image for any page.
    """
    from provision import engine
    from provision.cli.show import shown_file
    from provision.page import pages
    from provision.page.graph import graph_of, mermaid

    graph = graph_of(engine.load(request, looking=True))
    text = pages.svg(graph) if form == "svg" else mermaid(graph)
    if output:
        pages.write(output, text)
    else:
        click.echo(shown_file(text), nl=False)
