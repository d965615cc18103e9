"""provision compare."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision import registry
from provision.cli.options import allow_option, collect, completing, html_option, local_option, machine_option
from provision.cli.show import say, table
from provision.progress import Plain

if TYPE_CHECKING:
    from provision.measure.model import Report


@click.command("compare")
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@click.option(
    "-b",
    "--backend",
    "names",
    multiple=True,
    default=registry.built_in(),
    show_default=True,
    help="A form to measure; repeat it for several.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Override a variable of the spec."
)
@click.option("--name", metavar="NAME", help="Use another name than the spec's.")
@local_option
@allow_option
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
    spec: Path | None,
    names: tuple[str, ...],
    settings: tuple[str, ...],
    name: str | None,
    local: bool,  # noqa: FBT001 - click's flag
    allow: tuple[str, ...],
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
    request = collect(
        {"spec": spec, "backend": names[0], "settings": settings, "name": name,
         "local": local, "allow": allow}
    )  # fmt: skip
    with completing(request):
        report = run.compare(
            request, tuple(dict.fromkeys(names)), chosen, Plain(sys.stderr),
            runs=runs, timeout=timeout, machine=machine,
        )  # fmt: skip
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
