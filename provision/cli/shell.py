"""provision shell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from provision.cli.options import machine_option, with_request
from provision.cli.show import progress
from provision.target import LOGIN_SHELL

if TYPE_CHECKING:
    from provision.engine import EnvironmentRef, Request
    from provision.target import Target


@click.command("shell")
@with_request
@machine_option
@click.option(
    "-u", "--user", metavar="USER", help="Open it as this user; default: the workspace's user, else root."
)
def command(request: Request, machine: str | None, user: str | None) -> None:
    """Open a login shell in a machine, in the workspace."""
    from provision import engine

    ref = engine.resolve(request)
    with progress().wait("checking what is running"):
        target = engine.target(ref, machine)
    raise click.exceptions.Exit(open_shell(ref, target, user))


def open_shell(ref: EnvironmentRef, target: Target, user: str | None = None) -> int:
    """Open a login shell on this process's streams; its exit code."""
    from provision import engine
    from provision.attach import run_attached

    engine.lend(ref, target)
    return run_attached(
        target,
        ["sh", "-c", LOGIN_SHELL],
        user=user or target.user,
        workdir=target.workdir,
        terminal=sys.stdin.isatty() and sys.stdout.isatty(),
    )
