"""provision down."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from provision.cli.options import SPEC_ENDINGS, collect, completing, environment_options
from provision.cli.show import progress, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.engine import EnvironmentRef, Removed, Request


@click.command("down")
@click.argument("which", required=False, metavar="[SPEC|NAME|ID]")
@environment_options
@click.option("--volumes", is_flag=True, help="Also remove its volumes with their data, and its snapshots.")
@click.option(
    "--images", is_flag=True, help="Also remove what was built for it: images, disks, saved states."
)
@click.pass_context
def command(
    context: click.Context,
    /,
    which: str | None,
    volumes: bool,  # noqa: FBT001 - click's flags
    images: bool,  # noqa: FBT001
    **options: object,
) -> None:
    """Remove the machines; volumes stay unless --volumes.

    With a NAME or ID from `provision list` this works from any folder, even if the
    spec is gone, and removes the environment from every backend unless -b names one.
    """
    from provision import engine

    for ref, arguments in _refs(context, which, options):
        with completing(arguments) if arguments else nullcontext():
            removed = engine.down(ref, progress(), volumes=volumes, images=images)
        say(_told(ref, removed))
        if removed.snapshots:
            say(f"its snapshots stay: {', '.join(removed.snapshots)} (--volumes removes them)")


def _refs(
    context: click.Context, which: str | None, options: dict[str, object]
) -> Iterator[tuple[EnvironmentRef, Request | None]]:
    """The environment that is meant, with the request if a spec names it."""
    from provision import engine
    from provision.listing import find_environments

    if which is None or which.endswith(SPEC_ENDINGS) or Path(which).is_file():
        spec = None if which is None else Path(which)
        arguments = collect({**options, "spec": spec})
        with completing(arguments):
            ref = engine.resolve(arguments)
        yield ref, arguments
        return
    typed = context.get_parameter_source("backend") is ParameterSource.COMMANDLINE
    for ref in find_environments(which, str(options["backend"]) if typed else None):
        yield ref, None


def _told(ref: EnvironmentRef, removed: Removed) -> str:
    if removed.machines:
        return f"{ref.name} is down"
    if removed.others:
        return f"removed what was left of {ref.name}: {', '.join(removed.others)}"
    return f"{ref.name} was not up"
