"""provision cp."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from provision.cli.host import enter_elsewhere
from provision.cli.options import with_request_and_words
from provision.cli.show import progress
from provision.errors import UsageError
from provision.hints import command as command_of

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("cp", options_metavar="[SPEC] [OPTIONS]")
@with_request_and_words("SOURCE DESTINATION", at_least=2)
@click.option("-u", "--user", metavar="USER",
              help="Copy as this user; default: the workspace's user, else root.")  # fmt: skip
@click.option("-a", "--archive", is_flag=True, help="Keep the numbers of users and groups: copies as root.")
@click.option("-L", "--follow-link", is_flag=True, help="Copy what SOURCE leads to where it is a link.")
def command(
    request: Request, words: tuple[str, ...], user: str | None, *, archive: bool, follow_link: bool
) -> None:
    """Copy files, folders and links into a machine, or out of it, by the rules of docker cp.

    A path inside is MACHINE:PATH, or :PATH if there is one machine. - is a tar stream: from stdin,
    or to stdout. A path of this host with a colon begins with ./ or /.
    """
    from provision import engine
    from provision.copying import Options, copy, place_of

    if len(words) != 2:
        raise click.UsageError("Name two paths: provision cp [SPEC] SOURCE DESTINATION")
    if archive and user:
        raise click.UsageError("--archive copies as root, so it goes with no --user.")
    source, destination = map(place_of, words)
    inside = [place for place in (source, destination) if place.machine is not None]
    if len(inside) != 1:
        raise UsageError(
            "cp copies between this host and one machine",
            hint="a path inside is MACHINE:PATH, or :PATH where there is one machine; from one"
            f" machine to another, pipe {command_of('cp', 'web:/srv', '-')}"
            f" into {command_of('cp', '-', 'db:/')}",
        )
    if destination.is_stream and sys.stdout.isatty():
        raise UsageError("a tar stream is nothing for a terminal", hint="send it to a file or a pipe")
    shown, machine = progress(), inside[0].machine or None
    target = enter_elsewhere(request, machine)
    if target is None:
        ref = engine.resolve(request)
        with shown.wait("checking what is running"):
            target = engine.target(ref, machine, named_by="MACHINE:PATH")
    options = Options(user=user, archive=archive, follow=follow_link)
    with target, shown.wait(f"copying {source} to {destination}"):
        notes = copy(target, source, destination, options)
    for note in notes:
        shown.note(note)
