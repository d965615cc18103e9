"""provision ssh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.options import TakesCommand, machine_option, with_request_and_words
from provision.cli.show import progress
from provision.cli.ssh_config import options_for

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("ssh", cls=TakesCommand, options_metavar="[SPEC] [OPTIONS] [--]")
@with_request_and_words("[SSH OPTIONS] [COMMAND]…")
@machine_option
def command(request: Request, words: tuple[str, ...], machine: str | None) -> None:
    """Log in to a machine by ssh, or run a command; its exit code is this command's own.

    After -- stand options of ssh too: provision ssh -- -L 5432:localhost:5432
    """
    from provision import engine, process
    from provision.sshd.config import command as ssh

    ref = engine.resolve(request)
    with progress().wait("checking what is running"):
        target = engine.target(ref, machine)
    code = process.attach(ssh(target.machine, options_for(ref, target), words), lambda _: None)
    raise click.exceptions.Exit(code)
