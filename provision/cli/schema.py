"""provision schema."""

from __future__ import annotations

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of the spec, for editors and other programs."""
    from provision import spec

    click.echo(spec.schema(), nl=False)
