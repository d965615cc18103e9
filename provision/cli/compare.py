"""provision compare."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from provision.cli.options import html_option, machine_option, with_request_and_backends
from provision.cli.show import say, table
from provision.progress import Plain

if TYPE_CHECKING:
    from pathlib import Path

    from provision.engine import Request
    from provision.measure.model import Report


@click.command("compare")
@with_request_and_backends("A form to measure; repeat it for several.")
@machine_option
@click.option("--rows", "words", metavar="NAME,…", help="Measure these rows only; `all` adds the slow one.")
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="Runs of each row, at most.",
)
@click.option("--explain", is_flag=True, help="Print how each row is measured.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True
)
@html_option
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=900, show_default=True,
              metavar="SECONDS", help="Time for each form to become ready.")  # fmt: skip
def command(
    request: Request,
    names: tuple[str, ...],
    machine: str | None,
    words: str | None,
    runs: int,
    explain: bool,  # noqa: FBT001
    form: str,
    html: Path | None,
    timeout: float,
) -> None:
    """Measure what the forms of a spec cost on this host: time, bytes, memory, speed, isolation.

    Brings each form up under the name NAME-compare with free ports, measures it, and takes it
    down; your own environment is left alone. If one form is not possible here, measures the other.
    """
    from provision.measure import rows, run, tables

    chosen = rows.select([word for word in (words or "").split(",") if word])
    report = run.compare(
        request, names, chosen, Plain(sys.stderr), runs=runs, timeout=timeout, machine=machine
    )
    if html:
        from provision.page import pages

        pages.write(html, pages.of_comparison(report, pages.drawing(request)))
    if form == "json":
        click.echo(json.dumps(tables.data(report), indent=2))
    elif form == "markdown":
        click.echo(tables.markdown(report), nl=False)
    else:
        _show(report, explain=explain)


def _show(report: Report, *, explain: bool) -> None:
    from provision.measure import tables
    from provision.measure.sentence import sentence

    say(sentence(report), bold=True)
    for note in tables.notes(report):
        say(note)
    say("")
    lines: list[tuple[str, ...]] = []
    for group, members in tables.grouped(report.rows):
        lines.append((f"{group}:", *("" for _ in report.forms), ""))
        for row in members:
            shown = []
            for form in report.forms:
                cell = tables.cell_of(form, row)
                more = tables.detail(cell, row)
                shown.append(f"{tables.value(cell, row)}{f'  ({more})' if more else ''}")
            lines.append((f"  {row.title}", *shown, tables.verdict(report, row)))
    headings = ["", *(form.heading.upper() for form in report.forms), "BETTER"]
    several = len(report.forms) > 1
    table(headings if several else headings[:-1], lines if several else [line[:-1] for line in lines])
    say(f"\n{tables.measured_where(report)}")
    if not explain:
        say("medians, and the range of the runs; --explain prints how each row is measured")
    for row in report.rows if explain else ():
        say(f"\n{row.name}: {row.title}", bold=True)
        say(f"  {row.method}")
