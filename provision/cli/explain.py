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
        explanation = explain(request)
    if form == "json":
        click.echo(json.dumps(_data(explanation), indent=2))
        return
    aspects = dict.fromkeys(aspect for each in explanation.capabilities.values() for aspect in each.aspects)
    rows = [
        (aspect, *(each.aspects.get(aspect, "-") for each in explanation.capabilities.values()))
        for aspect in aspects
    ]
    for title, items in (
        ("cannot", [each.cannot for each in explanation.capabilities.values()]),
        ("lacks on this host", [each.lacks for each in explanation.capabilities.values()]),
    ):
        if any(items):
            rows.append((title, *("; ".join(each) or "-" for each in items)))
    nouns = [backends.find(name).noun.partition(" ")[2].upper() for name in explanation.capabilities]
    table(["", *nouns], rows)
    show_demands(tuple(dict.fromkeys(each for demands in explanation.demands.values() for each in demands)))
    for note in explanation.notes:
        say(note)
    say(f"-b {explanation.choice.backend}: {explanation.choice.reason}", bold=True)


def _data(explanation: Explanation) -> dict[str, object]:
    return {
        "name": explanation.name,
        "backend": explanation.choice.backend,
        "reason": explanation.choice.reason,
        "notes": list(explanation.notes),
        "backends": [
            {
                "name": name,
                **each.aspects,
                "cannot": list(each.cannot),
                "lacks": list(each.lacks),
                "trust": demands_data(explanation.demands[name]),
            }
            for name, each in explanation.capabilities.items()
        ],
    }
