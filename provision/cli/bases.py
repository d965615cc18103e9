"""provision bases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from provision.bases.box import boxes_of
from provision.bases.packing import BOX_PROVIDERS, BoxProvider
from provision.cli.options import backend_option, format_option
from provision.cli.show import progress, say, table

if TYPE_CHECKING:
    from provision.bases.image import BaseStatus
    from provision.model import Base


@click.group("bases", invoke_without_command=True)
@format_option
@click.pass_context
def command(context: click.Context, form: str) -> None:
    """List the bases that a spec may name, or build one from its mirror."""
    if context.invoked_subcommand is None:
        _list(form)


@command.command("list")
@format_option
def list_bases(form: str) -> None:
    """List the bases, and which of them this host has."""
    _list(form)


@command.command("build")
@click.argument("name")
@backend_option
@click.option(
    "--provider", type=click.Choice(BOX_PROVIDERS), help="With -b vm: build a box for this provider only."
)
@click.option("--snapshot", metavar="TIME", help="Use a dated archive, such as 20261101T000000Z.")
def build(name: str, backend: str, provider: BoxProvider | None, snapshot: str | None) -> None:
    """Build a base from its distribution's mirror: its image, or with -b vm its boxes for Vagrant."""
    from provision import backends
    from provision.backends.base import BuildsBases
    from provision.errors import UsageError

    builder = backends.find(backend)
    if not isinstance(builder, BuildsBases):
        raise UsageError(f"{backend} builds no bases", hint="choose another backend: -b")
    for built in builder.build_base(_find(name, snapshot), progress(), provider=provider):
        say(f"built {built}")


def _find(name: str, snapshot: str | None) -> Base:
    from provision.bases.catalogue import NoSnapshot, UnknownBase, find
    from provision.errors import UsageError

    try:
        return find(name, snapshot)
    except UnknownBase as error:
        nearest = ", ".join(error.nearest or error.known)
        raise UsageError(str(error), hint=f"nearest: {nearest}") from error
    except NoSnapshot as error:
        raise UsageError(str(error), hint=error.hint) from error


def _list(form: str) -> None:
    from provision.bases.catalogue import catalogue
    from provision.bases.image import statuses

    known = [(each, boxes_of(each.base)) for each in statuses(tuple(catalogue().values()))]
    if form == "json":
        answer = [
            {"name": each.base.name, "family": each.base.family, "image": each.base.image,
             "box": each.base.box, "present": each.present, "made": each.made,
             "makeable": each.makeable, "boxes": boxes}
            for each, boxes in known
        ]  # fmt: skip
        click.echo(json.dumps({"bases": answer}, indent=2))
        return
    rows = [(each.base.name, each.base.family, each.base.image, _here(each),
             each.base.box or "-", ", ".join(boxes) or "-")
            for each, boxes in known]  # fmt: skip
    table(["BASE", "PACKAGES", "IMAGE", "LOCAL", "BOX", "LOCAL BOXES"], rows)


def _here(status: BaseStatus) -> str:
    if status.present is None:
        return "no engine answers"
    if status.present:
        return "built here" if status.made else "yes"
    return "can be pulled or built" if status.makeable else "can be pulled"
