"""provision verify."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, machine_option, with_request
from provision.cli.show import count, show_result
from provision.progress import Plain

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("verify")
@with_request
@machine_option
@format_option
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write a JUnit report as well.")  # fmt: skip
def command(request: Request, machine: str | None, form: str, junit: Path | None) -> None:
    """Check the running environment against the spec; exit code 1 if a check fails."""
    from provision import engine
    from provision.verify.report import as_json, write_junit

    environment = engine.load(request)
    each = show_result if form == "text" else None
    results = engine.verify(environment, request.backend, each, machine, progress=Plain(sys.stderr))
    if form == "json":
        click.echo(json.dumps(as_json(environment.name, request.backend, results), indent=2))
    else:
        click.echo(click.style(count(results), bold=True))
    if junit:
        write_junit(junit, environment.name, {request.backend: results})
    if any(result.outcome == "failed" for result in results):
        raise click.exceptions.Exit(1)
