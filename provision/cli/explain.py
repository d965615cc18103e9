"""provision explain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from provision.cli.asking import asks, format_option
from provision.cli.show import demands_data, progress, say, show_demands, table

if TYPE_CHECKING:
    from provision.choosing import Explanation
    from provision.engine import Request


@click.command("explain")
@asks
@format_option
def command(asked: Request, form: str) -> None:
    """Compare container and virtual machine for this spec on this host, and recommend one."""
    from provision.choosing import explain

    with progress().wait("looking at this host"):
        found = explain(asked)
    if form == "json":
        click.echo(json.dumps(_data(found), indent=2))
        return
    aspects = list(found.offers["docker"].aspects)
    rows = [(aspect, *(offer.aspects[aspect] for offer in found.offers.values())) for aspect in aspects]
    for title, items in (
        ("cannot", [offer.cannot for offer in found.offers.values()]),
        ("lacks here", [offer.lacks for offer in found.offers.values()]),
    ):
        if any(items):
            rows.append((title, *("; ".join(each) or "-" for each in items)))
    table(["", "CONTAINER", "VIRTUAL MACHINE"], rows)
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
                **offer.aspects,
                "cannot": list(offer.cannot),
                "lacks": list(offer.lacks),
                "trust": demands_data(found.demands[name]),
            }
            for name, offer in found.offers.items()
        ],
    }
