"""provision diff."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, with_request
from provision.cli.show import progress, say
from provision.progress import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.comparison import Comparison
    from provision.engine import Request
    from provision.inventory.model import Difference


@click.command("diff")
@with_request
@format_option
@click.option("--between", nargs=2, metavar="LEFT RIGHT",
              help="Compare these: a backend, a machine, or a file from `provision inventory -o`. "
                   "Default: the backends that are up.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Show the explained differences too.")
def command(request: Request, form: str, between: tuple[str, str] | None, everything: bool) -> None:  # noqa: FBT001 - click's contract
    """Compare the running forms of an environment; exit code 1 if a difference is unexplained."""
    from provision import comparison

    with progress().step("comparing"):
        found = comparison.differ(request, between)
    if form == "json":
        click.echo(json.dumps(_data(found), indent=2))
    else:
        _show(found, everything=everything)
    if found.unexplained:
        raise click.exceptions.Exit(1)


def _data(found: Comparison) -> dict[str, object]:
    unexplained = len(found.unexplained)
    return {
        "name": found.name,
        "left": found.left,
        "right": found.right,
        "unexplained": unexplained,
        "explained": len(found.differences) - unexplained,
        "differences": [asdict(each) for each in found.differences],
    }


def _show(found: Comparison, *, everything: bool) -> None:
    explained = [each for each in found.differences if each.reason is not None]
    _show_group(found, found.unexplained)
    if everything:
        by_reason: dict[str, list[Difference]] = {}
        for each in explained:
            by_reason.setdefault(each.reason or "", []).append(each)
        for reason, group in by_reason.items():
            say(f"\nexplained: {reason}", bold=True)
            _show_group(found, group)
    count = len(found.unexplained)
    say(
        f"{found.left} and {found.right}: {count or 'no'} unexplained difference{'' if count == 1 else 's'}, "
        f"{len(explained)} explained{'' if everything or not explained else ' (--all shows them)'}",
        bold=True,
    )


def _show_group(found: Comparison, differences: Sequence[Difference]) -> None:
    several = len({each.machine for each in found.differences}) > 1
    for (machine, section), group in groupby(differences, key=lambda each: (each.machine, each.section)):
        say(f"{f'{machine}: ' if several else ''}{section}", bold=True)
        for each in group:
            _show_difference(found, each)


def _show_difference(found: Comparison, each: Difference) -> None:
    if each.attribute:
        label = "" if each.attribute == "value" else f" {each.attribute}"
        left, right = ("none" if value is None else value for value in (each.left, each.right))
        say(visible(f"  {each.subject}{label}: {found.left} {left}, {found.right} {right}"))
        return
    where, summary = (found.left, each.left) if each.right is None else (found.right, each.right)
    say(visible(f"  {each.subject}: only in {where}{f' ({summary})' if summary else ''}"))
