"""provision explain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, with_request
from provision.cli.show import demands_data, progress, say, show_demands, table

if TYPE_CHECKING:
    from provision.engine import Request
    from provision.selection import Explanation


@click.command("explain")
@with_request
@format_option
def command(request: Request, form: str) -> None:
    """Compare container and virtual machine for this spec on this host, and recommend one."""
    from provision import backends
    from provision.selection import explain

    with progress().wait("checking this host"):
        found = explain(request)
    if form == "json":
        click.echo(json.dumps(_data(found), indent=2))
        return
    aspects = dict.fromkeys(aspect for each in found.capabilities.values() for aspect in each.aspects)
    rows = [
        (aspect, *(each.aspects.get(aspect, "-") for each in found.capabilities.values()))
        for aspect in aspects
    ]
    for title, items in (
        ("cannot", [each.cannot for each in found.capabilities.values()]),
        ("lacks on this host", [each.lacks for each in found.capabilities.values()]),
    ):
        if any(items):
            rows.append((title, *("; ".join(each) or "-" for each in items)))
    nouns = [backends.find(name).noun.partition(" ")[2].upper() for name in found.capabilities]
    table(["", *nouns], rows)
    show_demands(tuple(dict.fromkeys(each for demands in found.demands.values() for each in demands)))
    for note in found.notes:
        say(note)
    say(f"-b {found.choice.backend}: {found.choice.reason}", bold=True)


def _data(found: Explanation) -> dict[str, object]:
    return {
        "name": found.name,
        "backend": found.choice.backend,
        "reason": found.choice.reason,
        "notes": list(found.notes),
        "backends": [
            {
                "name": name,
                **each.aspects,
                "cannot": list(each.cannot),
                "lacks": list(each.lacks),
                "trust": demands_data(found.demands[name]),
            }
            for name, each in found.capabilities.items()
        ],
    }
