"""provision outdated."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, with_request_and_backends
from provision.cli.show import progress, say, table

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("outdated")
@with_request_and_backends("A backend whose machines to look at; repeat it for several.")
@click.option("--all", "everything", is_flag=True,
              help="Show the packages that the spec does not name, too.")  # fmt: skip
@format_option
def command(request: Request, names: tuple[str, ...], everything: bool, form: str) -> None:  # noqa: FBT001
    """Show which locked versions are older than those that the archives have now.

    The exit code is 1 if there are any, whether shown or not.
    """
    from provision.locking import require_lock
    from provision.outdated import outdated

    require_lock(request)
    with progress().step("reading the archives' indexes"):
        found = outdated(request, names)
    if form == "json":
        click.echo(json.dumps({"outdated": [asdict(each) for each in found.packages],
                               "notes": found.notes}, indent=2))  # fmt: skip
    else:
        for note in found.notes:
            say(note)
        shown = [each for each in found.packages if everything or each.asked]
        if shown:
            table(
                ["BASE", "PACKAGE", "LOCKED", "NEWEST", "MACHINES"],
                [(e.base, e.package, e.locked, e.newest, ", ".join(e.machines)) for e in shown],
            )
        count, hidden = len(found.packages), len(found.packages) - len(shown)
        more = f", {hidden} of them not named in the spec (--all shows them)" if hidden else ""
        say(f"{count or 'no'} package{'' if count == 1 else 's'} outdated{more}", bold=True)
    if found.packages:
        raise click.exceptions.Exit(1)
