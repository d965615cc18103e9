"""provision bases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from provision.cli.asking import format_option
from provision.cli.show import progress, table

if TYPE_CHECKING:
    from provision.bases.image import BaseStatus


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
    """List the bases, and what this host has of them."""
    _list(form)


@command.command("build")
@click.argument("name")
@click.option("--snapshot", metavar="TIME", help="As of a dated archive: 20261101T000000Z.")
def build(name: str, snapshot: str | None) -> None:
    """Make a base's image from its distribution's mirror."""
    from provision.bases.catalogue import NoSnapshot, UnknownBase, find
    from provision.bases.image import build_image
    from provision.errors import UsageError

    try:
        base = find(name, snapshot)
    except UnknownBase as error:
        nearest = ", ".join(error.nearest or error.known)
        raise UsageError(str(error), hint=f"nearest: {nearest}") from error
    except NoSnapshot as error:
        raise UsageError(str(error), hint=error.hint) from error
    build_image(base, progress())
    click.echo(f"{base.image} is made")


def _list(form: str) -> None:
    from provision.bases.catalogue import catalogue
    from provision.bases.image import statuses

    known = statuses(tuple(catalogue().values()))
    if form == "json":
        answer = [
            {"name": each.base.name, "family": each.base.family, "image": each.base.image,
             "box": each.base.box, "present": each.present, "made": each.made,
             "makeable": each.makeable}
            for each in known
        ]  # fmt: skip
        click.echo(json.dumps({"bases": answer}, indent=2))
        return
    rows = [(each.base.name, each.base.family, each.base.image, each.base.box or "-", _here(each))
            for each in known]  # fmt: skip
    table(["BASE", "PACKAGES", "IMAGE", "BOX", "HERE"], rows)


def _here(status: BaseStatus) -> str:
    if status.present is None:
        return "no engine answers"
    if status.present:
        return "made here" if status.made else "yes"
    return "can be pulled or made" if status.makeable else "can be pulled"
