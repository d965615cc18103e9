"""How errors, results and tables look; without colours if nobody would see them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from provision.errors import ProvisionError, SpecError
from provision.hints import command
from provision.progress import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.model import Demand, Environment, Result
    from provision.progress import Progress

NOBODY_LOOKS = 200  # columns
KNOWN_NARROW = frozenset("→✓✗…") | {chr(code) for code in range(32, 127)}  # each takes one column
MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "yellow")}


def progress() -> Progress:
    """Live on a terminal, plain lines in pipes and under `-v`, folds in CI, nothing under `-q`."""
    from provision.cli import verbose
    from provision.progress import Folded, Live, Plain, Silent

    if verbose.is_quiet():
        return Silent()
    if os.environ.get("GITHUB_ACTIONS") == "true" and not verbose.is_on():
        return Folded(sys.stderr, gitlab=False)
    if os.environ.get("GITLAB_CI") == "true" and not verbose.is_on():
        return Folded(sys.stderr, gitlab=True)
    if sys.stderr.isatty() and os.environ.get("CI") != "true" and not verbose.is_on():
        return Live(sys.stderr)
    return Plain(sys.stderr)


def say(text: str, *, bold: bool = False, err: bool = False) -> None:
    """Print our own text; control characters in it are made harmless."""
    shown = visible(text, lines=True)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from provision.progress import harmless_in_ci

        shown = harmless_in_ci(shown)
    click.echo(click.style(shown, bold=True) if bold else shown, err=err)


def shown_file(text: str) -> str:
    """The text of a file that goes to stdout: itself for a program, harmless for a terminal."""
    return visible(text, lines=True) if sys.stdout.isatty() else text


def show_error(error: ProvisionError) -> None:
    """Print what failed, the evidence and the hint to stderr."""
    if isinstance(error, SpecError):
        from provision.spec import render_problems

        say(render_problems(error.problems), err=True)
    click.echo(f"{click.style('error:', fg='red', bold=True)} {visible(error.message)}", err=True)
    for line in error.evidence:
        say(f"  {line.rstrip()}", err=True)
    if error.hint:
        click.echo(f"{click.style('hint:', fg='cyan')} {visible(error.hint)}", err=True)


def left_behind(environment: Environment) -> list[str]:
    """What there is of environments of this name whose folder is gone, and how to remove it."""
    from provision import listing

    found = dict.fromkeys(
        (each.state_dir.id, each.state_dir.project) for each in listing.left_behind(environment)
    )
    return [
        f"the environment {environment.name} of {project}, a folder that is gone, still has machines"
        f" or volumes: {command('down', identity)} removes the machines"
        for identity, project in found
    ]


def show_demands(demands: Sequence[Demand]) -> None:
    """Print what a spec wants beyond its machines, and whether it is allowed, to stdout."""
    for demand in demands:
        click.echo(f"{described(demand)}: {answer_to(demand)}")


def described(demand: Demand) -> str:
    """The required word, what exactly it is for, and the place in the spec."""
    from provision.spec.demands import shown

    place = f"{shown(demand.origin.file)}:{demand.origin.line}"
    return visible(f"{demand.word}: {demand.what} ({place})")


def answer_to(demand: Demand) -> str:
    """Whether it is allowed, and what happens if not."""
    if demand.given:
        return "allowed"
    return f"not allowed, {demand.otherwise or 'the spec is refused'}"


def demands_data(demands: Sequence[Demand]) -> list[dict[str, object]]:
    """The same as data for a program."""
    return [
        {"word": each.word, "what": each.what, "place": f"{each.origin.file}:{each.origin.line}",
         "allowed": each.given}
        for each in demands
    ]  # fmt: skip


def show_result(result: Result) -> None:
    """One check: a mark, its name, and why where it did not pass; to stdout."""
    mark, colour = MARKS[result.outcome]
    click.echo(f"{click.style(mark, fg=colour)} {visible(f'{result.machine}: {result.check}')}")
    for line in result.message.splitlines() if result.outcome != "passed" else ():
        say(f"    {line}")


def count(results: Sequence[Result]) -> str:
    """`31 checks passed, 1 failed, 2 skipped`; zeros are left out."""
    numbers = {outcome: sum(r.outcome == outcome for r in results) for outcome in MARKS}
    words = [f"{numbers['passed']} check{'' if numbers['passed'] == 1 else 's'} passed"]
    words += [f"{numbers[outcome]} {outcome}" for outcome in ("failed", "skipped") if numbers[outcome]]
    return ", ".join(words)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table to stdout; as wide as it must be where nobody looks."""
    from shutil import get_terminal_size

    shown = [[visible(cell) for cell in row] for row in rows]
    width = get_terminal_size().columns if sys.stdout.isatty() else NOBODY_LOOKS
    widths = [max(map(len, column)) for column in zip(headings, *shown, strict=True)]
    simple = all(cell.isascii() or set(cell) <= KNOWN_NARROW for row in shown for cell in row)
    if not simple or sum(widths) + 2 * (len(widths) - 1) > width:
        _fold(headings, shown, width)
        return
    # Importing rich takes a fifth of a command that only looks: it is for what must be folded or measured.
    for bold, cells in ((True, headings), *((False, row) for row in shown)):
        padded = [cell.ljust(each) for cell, each in zip(cells, widths, strict=True)]
        click.echo("  ".join(click.style(cell, bold=True) if bold else cell for cell in padded))


def _fold(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> None:
    """A table that is too wide, or whose characters are."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*map(Text, row))
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(made)
    click.echo(captured.get(), nl=False)  # rich would end the program for a reader who went away
