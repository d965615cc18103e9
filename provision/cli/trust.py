"""provision trust, and the question that `up` asks on a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from provision import hints
from provision.cli.options import with_request
from provision.cli.show import described, say, show_demands, table
from provision.model import WORDS
from provision.progress import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from provision.engine import Request
    from provision.model import Demand, Environment


def _list(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's contract
    """List the answers of every project, wherever you call it."""
    from provision import trust

    if not wanted:
        return
    rows = [
        (project, answer.word, answer.what, "allowed" if answer.allowed else "refused")
        for project, answers in sorted(trust.kept_answers().items())
        for answer in answers.values()
    ]
    table(["PROJECT", "WORD", "WHAT", "ANSWER"], rows)
    context.exit()


@click.command("trust")
@with_request
@click.option("--revoke", is_flag=True, help="Forget the answers for this project.")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list,
              help="List the answers for all projects.")  # fmt: skip
def command(request: Request, revoke: bool) -> None:  # noqa: FBT001 - click's flag
    """Allow this project what its spec wants beyond its machines, from now on.

    Everything it wants now, or only what needs the words of --allow. If the spec wants
    something new later, you are asked again. Each word gives whoever writes the repository:

    \b
    outside     the listed folders and files outside the project
    privileges  weaker isolation of a machine, up to control of your host
    network     ports that other hosts can reach
    host-env    the listed variables of this host, your name and address in git
    host-code   everything that you can do here, because its code runs as you
    agent       use of the keys in your SSH agent while the machine runs
    registry    what the machines are made of, and your login there
    """  # noqa: D301 - click looks for the character itself
    from provision import engine, spec, trust

    project = spec.project_of(request.spec)
    if revoke:
        forgotten = trust.forget(project)
        say(
            f"{project} is no longer allowed anything" if forgotten else f"{project} was not allowed anything"
        )
        for line in _still_there(project):
            say(line)
        return
    wanted = engine.allow(request)
    show_demands(wanted)
    if not wanted:
        say(f"{request.spec} wants nothing beyond its machines")


def _still_there(project: Path) -> list[str]:
    """The machines of a project: each keeps what it was made with, whatever is allowed now."""
    from provision.listing import list_environments

    return [
        f"{each.ref.name} is {each.state} in {each.ref.backend.name},"
        " and keeps what it was allowed when it was created:"
        f" {hints.command('down', each.ref.state_dir.id, '-b', each.ref.backend.name)} removes it"
        for each in list_environments()
        if each.ref.state_dir.project == project and each.remains.machines
    ]


# What the words are to the other verbs would be the wrong thing to say here.
next(
    each for each in command.params if each.name == "allow"
).help = f"Allow only what needs this word: {', '.join(WORDS)}. Without it, everything."


def load_asking(request: Request) -> Environment:
    """Read a spec; on a terminal, ask once for what it wants beyond its machines, and keep the answer."""
    from provision import engine
    from provision.errors import SpecError

    if not _is_terminal():
        return engine.load(request)
    while True:
        try:
            environment = engine.load(request)
            demands = environment.demands
        except SpecError as error:
            demands = error.demands
            if not all(problem.demand for problem in error.problems) or not _ask(request, demands):
                raise
        else:
            if not _ask(request, demands):
                return environment


def _ask(request: Request, demands: Sequence[Demand]) -> bool:
    """Ask about what was never answered, and store the answer; False if there is nothing to ask."""
    from provision import engine, spec, trust

    known = engine.trust_of(request)
    asked_for = [demand for demand in demands if not known.is_answered(demand)]
    if not asked_for:
        return False
    project = spec.project_of(request.spec)
    say(f"{request.spec} wants more than the machines it describes:", err=True)
    for demand in asked_for:
        otherwise = f"; if not, {demand.otherwise}" if demand.otherwise else ""
        click.echo(f"  {described(demand)}{otherwise}", err=True)
    click.echo("`provision trust --help` says what each word gives away.", err=True)
    allowed = click.confirm(f"Allow this in {visible(str(project))} from now on?", err=True)
    trust.keep(project, asked_for, allowed=allowed)
    return True


def _is_terminal() -> bool:
    """Whether there is a terminal with a person to ask."""
    streams = (sys.stdin, sys.stderr)
    return os.environ.get("CI") != "true" and all(stream and stream.isatty() for stream in streams)
