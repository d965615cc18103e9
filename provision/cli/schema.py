"""provision schema."""

from __future__ import annotations

import click


@click.command("schema")
@click.option("--lock", is_flag=True, help="Print that of locks, NAME.lock.yaml.")
def command(lock: bool) -> None:  # noqa: FBT001 - click's flag
    """Print the JSON Schema of the spec, for editors and other programs."""
    from provision import lockfile, spec

    click.echo(lockfile.schema() if lock else spec.schema(), nl=False)
