"""provision inventory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, machine_option, with_request
from provision.cli.show import progress, say
from provision.progress import visible

if TYPE_CHECKING:
    from provision.engine import Request
    from provision.inventory.model import Inventory


@click.command("inventory")
@with_request
@machine_option
@format_option
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write it to a file as JSON, which `diff --between` can read.")  # fmt: skip
def command(request: Request, machine: str | None, form: str, output: Path | None) -> None:
    """Show all that is in a running machine: packages, users, files, services and more.

    It holds no values of secrets.
    """
    from provision import comparison
    from provision.inventory import record

    with progress().step("taking the inventory"):
        name, inventories = comparison.take(request, machine)
    if output:
        record.write(output, name, inventories.values())
    elif form == "json":
        click.echo(record.as_json(name, inventories.values()), nl=False)
    else:
        for each in inventories.values():
            _show(each, labelled=len(inventories) > 1)


def _show(inventory: Inventory, *, labelled: bool) -> None:
    section = ""
    for fact in inventory.facts:
        if fact.section != section:
            section = fact.section
            say(f"{f'{inventory.machine}: ' if labelled else ''}{section}", bold=True)
        say(visible(f"  {fact.subject}: {fact.summary}" if fact.attributes else f"  {fact.subject}"))
