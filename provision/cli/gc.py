"""provision gc."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option
from provision.cli.show import progress, say
from provision.spec.quantities import shown_size

if TYPE_CHECKING:
    from provision.garbage import Garbage, GoneEnvironment, Leftover, Unneeded


@click.command("gc")
@click.option("--yes", is_flag=True, help="Remove it.")
@click.option(
    "--all", "unrecorded", is_flag=True,
    help="Also images that provision built for environments it does not know here.",
)  # fmt: skip
@format_option
def command(form: str, *, yes: bool, unrecorded: bool) -> None:
    """Show what nobody needs any more on this host, and remove it with --yes.

    That is: all of environments whose project folder was removed, their volumes too; images,
    disks and boxes that no environment needs; what killed commands left; and, over the cache
    limit of your configuration, the oldest that no machine is made of.
    """
    from provision import garbage

    with progress().wait("looking for what nobody needs"):
        found = garbage.find_garbage(unrecorded=unrecorded)
    collected = garbage.collect(found, progress()) if yes else None
    if form == "json":
        click.echo(json.dumps(_data(found, collected.failed if collected else None), indent=2))
    else:
        _show(found, removed=yes)
        for line in collected.failed if collected else ():
            say(f"warning: {line}", err=True)
    if collected is not None and collected.failed:
        click.get_current_context().exit(1)


def _show(found: Garbage, *, removed: bool) -> None:
    for note in found.notes:
        say(f"note: {note}", err=True)
    if not found.count:
        click.echo("nothing to remove")
        return
    for gone in found.environments:
        say(f"environment {_gone(gone)}")
    for unneeded in found.cached:
        say(_cached(unneeded))
    for line in _counted(found.leftovers):
        say(line)
    things = f"{found.count} thing{'s' if found.count > 1 else ''}, {shown_size(found.size)}"
    click.echo(f"removed: {things}" if removed else f"{things}: `provision gc --yes` removes them")


def _gone(gone: GoneEnvironment) -> str:
    state_dir, remains = gone.ref.state_dir, gone.remains
    parts = [
        *(f"machine {name}" for name in remains.machines),
        *(f"volume {name} and its data" for name in remains.volumes),
        *remains.built,
    ]
    size = [shown_size(gone.size)] if gone.size is not None else []
    return (
        f"{state_dir.unique_name} in {gone.ref.backend.name}: its folder {state_dir.project} is gone"
        f" ({', '.join([*parts, *size]) or 'only its state'})"
    )


def _cached(unneeded: Unneeded) -> str:
    cached = unneeded.cached
    return f"{cached.kind} {cached.name}: {unneeded.reason} ({shown_size(cached.size)})"


def _counted(leftovers: tuple[Leftover, ...]) -> list[str]:
    """A line for each; one line for all sockets, which are many and empty."""
    sockets = [each for each in leftovers if each.kind == "dead socket"]
    others = [
        f"{each.kind} {each.path} ({shown_size(each.size)})" for each in leftovers if each not in sockets
    ]
    if not sockets:
        return others
    many = f"{len(sockets)} dead socket{'s' if len(sockets) > 1 else ''} in {sockets[0].path.parent}"
    return [*others, many]


def _data(found: Garbage, failed: tuple[str, ...] | None) -> dict[str, object]:
    return {
        "environments": [
            {
                "name": gone.ref.name,
                "id": gone.ref.state_dir.id,
                "backend": gone.ref.backend.name,
                "folder": str(gone.ref.state_dir.project),
                "machines": list(gone.remains.machines),
                "volumes": list(gone.remains.volumes),
                "built": list(gone.remains.built),
                "size": gone.size,
            }
            for gone in found.environments
        ],
        "cached": [
            {"backend": each.backend, "kind": each.cached.kind, "name": each.cached.name,
             "size": each.cached.size, "reason": each.reason}
            for each in found.cached
        ],
        "leftovers": [
            {"kind": each.kind, "path": str(each.path), "size": each.size} for each in found.leftovers
        ],
        "notes": list(found.notes),
        "size": found.size,
        "removed": failed is not None,
        "failed": list(failed or ()),
    }  # fmt: skip
