"""provision parts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option
from provision.cli.show import shown_file, table

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command("parts")
@click.argument("name", required=False)
@format_option
def command(name: str | None, form: str) -> None:
    """List the parts that a spec or a machine may extend as part:NAME, or print one.

    Your own lie in parts/ beside the spec, or in the folders of $PROVISION_PARTS; one of
    the same name goes before one that ships with the tool.
    """
    from provision.errors import UsageError
    from provision.spec import find_spec
    from provision.spec.parts import part_folders, parts, text_of
    from provision.spec.problems import did_you_mean

    try:
        beside = find_spec(Path()).parent
    except UsageError:
        beside = Path()
    known = parts(part_folders(beside, os.environ))
    if name is None:
        _list(known, form)
    elif name not in known:
        raise UsageError(f"there is no part {name}", hint=did_you_mean(name, known))
    else:
        click.echo(shown_file(text_of(known[name])), nl=False)


def _list(known: Mapping[str, Path], form: str) -> None:
    from provision import resources
    from provision.spec.parts import FOLDER, headline

    if form == "json":
        answer = [{"name": name, "file": str(path), "description": headline(path)}
                  for name, path in known.items()]  # fmt: skip
        click.echo(json.dumps({"parts": answer}, indent=2))
        return
    shipped = resources.folder(FOLDER)
    rows = [
        (name, headline(path), "ships with provision" if path.parent == shipped else str(path))
        for name, path in known.items()
    ]
    table(["PART", "WHAT IT IS", "FROM"], rows)
