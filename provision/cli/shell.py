"""provision shell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from provision.cli.options import machine_option, with_request
from provision.cli.show import progress

if TYPE_CHECKING:
    from provision.engine import Request

LOGIN_SHELL = 'shell=$(getent passwd "$(id -un)" | cut -d: -f7); exec "${shell:-/bin/sh}" -l'


@click.command("shell")
@with_request
@machine_option
@click.option(
    "-u", "--user", metavar="USER", help="Open it as this user; default: the workspace's user, else root."
)
def command(request: Request, machine: str | None, user: str | None) -> None:
    """Open a login shell in a machine, in the workspace."""
    from provision import engine
    from provision.attach import run_attached

    ref = engine.resolve(request)
    with progress().wait("checking what is running"):
        target = engine.target(ref, machine)
    engine.lend(ref, target)
    code = run_attached(
        target,
        ["sh", "-c", LOGIN_SHELL],
        user=user or target.user,
        workdir=target.workdir,
        terminal=sys.stdin.isatty() and sys.stdout.isatty(),
    )
    raise click.exceptions.Exit(code)
