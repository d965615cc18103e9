"""provision diff."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

import click

from provision.cli.host import inventories_elsewhere, run_where_machines_are
from provision.cli.options import format_option, html_option, with_request
from provision.cli.show import progress, say
from provision.errors import UsageError
from provision.progress import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from provision.comparison import Comparison
    from provision.engine import Request
    from provision.inventory.model import Difference


@click.command("diff")
@with_request
@format_option
@click.option("--between", nargs=2, metavar="LEFT RIGHT",
              help="Compare these: a backend, a machine, or a file from `provision inventory -o`. "
                   "Default: the backends that are up.")  # fmt: skip
@click.option(
    "--since-up", is_flag=True, help="Compare each machine with itself as it was when it became ready."
)
@click.option("--all", "everything", is_flag=True, help="Show the explained differences too.")
@html_option
def command(
    request: Request,
    form: str,
    between: tuple[str, str] | None,
    since_up: bool,  # noqa: FBT001 - click's contract
    everything: bool,  # noqa: FBT001
    html: Path | None,
) -> None:
    """Compare container and VM, two machines, or inventories; exit code 1 on an unexplained difference.

    With --since-up, tell what someone has changed by hand in the machines of one backend.
    """
    from provision import comparison, drift

    if since_up and between:
        raise UsageError("--since-up and --between exclude each other", hint="leave one of them out")
    if since_up:
        run_where_machines_are(request)
    with progress().step("comparing"):
        compared = (
            drift.since_up(request)
            if since_up
            else comparison.differ(request, between, inventories_elsewhere(request))
        )
    if html:
        from provision.page import pages

        pages.write(html, pages.of_differences(compared, pages.drawing(request)))
    if form == "json":
        click.echo(json.dumps(_data(compared), indent=2))
    else:
        show_comparison(compared, everything=everything)
    if compared.unexplained:
        raise click.exceptions.Exit(1)


def _data(compared: Comparison) -> dict[str, object]:
    unexplained = len(compared.unexplained)
    return {
        "name": compared.name,
        "left": compared.left,
        "right": compared.right,
        "unexplained": unexplained,
        "explained": len(compared.differences) - unexplained,
        "differences": [asdict(each) for each in compared.differences],
    }


def show_comparison(compared: Comparison, *, everything: bool) -> None:
    """Print a comparison: what is unexplained, with `everything` also the rest by its reasons; the counts."""
    from provision.comparison import SINCE

    explained = [each for each in compared.differences if each.reason is not None]
    _show_group(compared, compared.unexplained)
    if everything:
        by_reason: dict[str, list[Difference]] = {}
        for each in explained:
            by_reason.setdefault(each.reason or "", []).append(each)
        for reason, group in by_reason.items():
            say(f"\nexplained: {reason}", bold=True)
            _show_group(compared, group)
    count = len(compared.unexplained)
    explained_too = "" if everything or not explained else " (--all shows them)"
    if compared.left == SINCE:
        say(
            f"{compared.name}: {count or 'no'} change{'' if count == 1 else 's'} since up, "
            f"{len(explained)} from normal operation{explained_too}",
            bold=True,
        )
        return
    say(
        f"{compared.left} and {compared.right}: {count or 'no'} unexplained"
        f" difference{'' if count == 1 else 's'}, {len(explained)} explained{explained_too}",
        bold=True,
    )


def _show_group(compared: Comparison, differences: Sequence[Difference]) -> None:
    several = len({each.machine for each in compared.differences}) > 1
    for (machine, section), group in groupby(differences, key=lambda each: (each.machine, each.section)):
        say(f"{f'{machine}: ' if several else ''}{section}", bold=True)
        for each in group:
            _show_difference(compared, each)


def _show_difference(compared: Comparison, each: Difference) -> None:
    from provision.comparison import SINCE

    if compared.left == SINCE:
        say(visible(_change(each)))
        return
    if each.attribute:
        label = "" if each.attribute == "value" else f" {each.attribute}"
        left, right = ("none" if value is None else value for value in (each.left, each.right))
        say(visible(f"  {each.subject}{label}: {compared.left} {left}, {compared.right} {right}"))
        return
    where, summary = (compared.left, each.left) if each.right is None else (compared.right, each.right)
    say(visible(f"  {each.subject}: only in {where}{f' ({summary})' if summary else ''}"))


def _change(each: Difference) -> str:
    """What happened to one thing in the course of time."""
    left, right = ("none" if value is None else value for value in (each.left, each.right))
    if each.attribute:
        label = "" if each.attribute == "value" else f" {each.attribute}"
        return f"  {each.subject}{label}: {left} → {right}"
    summary = right if each.left is None else left
    return f"  {each.subject}: {'new' if each.left is None else 'gone'}{f' ({summary})' if summary else ''}"
