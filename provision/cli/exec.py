"""provision exec."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from provision.cli.options import TakesCommand, machine_option, with_request_and_words
from provision.cli.show import progress

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("exec", cls=TakesCommand, options_metavar="[SPEC] [OPTIONS] [--]")
@with_request_and_words("[COMMAND]…")
@machine_option
@click.option(
    "-u", "--user", metavar="USER", help="Run it as this user; default: the workspace's user, else root."
)
@click.option(
    "-w", "--workdir", metavar="PATH", help="Run it in this folder; default: the workspace, else /."
)
def command(
    request: Request, words: tuple[str, ...], machine: str | None, user: str | None, workdir: str | None
) -> None:
    """Run a command in a machine: its stdin, output and exit code are this command's own.

    It gets a terminal if you have one. SPEC, if given, ends in .yaml or .yml.
    """
    from provision import engine
    from provision.attach import run_attached

    if not words:
        raise click.UsageError("Name the command to run: provision exec [SPEC] -- COMMAND…")
    ref = engine.resolve(request)
    with progress().wait("checking what is running"):
        target = engine.target(ref, machine)
    engine.lend(ref, target)
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    code = run_attached(
        target,
        words,
        user=user or target.user,
        workdir=workdir or target.workdir,
        terminal=terminal,
    )
    raise click.exceptions.Exit(code)
