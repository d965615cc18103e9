"""provision top."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, machine_option, with_request
from provision.cli.show import progress, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.engine import Request
    from provision.model import Usage

EVERY = 2.0  # seconds
HEADINGS = ("MACHINE", "CPU", "MEMORY", "LIMIT", "DISK")


@click.command("top")
@with_request
@machine_option
@click.option("--once", is_flag=True, help="Show it once and end; so it is where nobody looks.")
@format_option
def command(request: Request, machine: str | None, once: bool, form: str) -> None:  # noqa: FBT001 - click's flag
    """Show processor, memory and disk of each running machine, live."""
    from provision import engine
    from provision.backends.machines import refuse_unknown

    ref = engine.resolve(request)

    def look() -> list[Usage]:
        found = engine.usage(ref)
        if machine is not None:
            refuse_unknown(machine, ref.backend.remains(ref.state_dir).machines)
        return [each for each in found if machine in (None, each.machine)]

    if form == "json":
        machines = [asdict(each) for each in look()]
        click.echo(
            json.dumps({"name": ref.name, "backend": ref.backend.name, "machines": machines}, indent=2)
        )
        return
    with progress().wait("measuring"):
        found = look()
    if once or not sys.stdout.isatty():
        table(HEADINGS, rows(found))
        return
    while True:
        click.clear()
        table(HEADINGS, rows(found))
        time.sleep(EVERY)
        found = look()


def rows(found: Sequence[Usage]) -> list[tuple[str, ...]]:
    """The rows of the table; pure."""
    return [
        (
            each.machine,
            f"{each.cpu:.1f} %",
            size(each.memory),
            size(each.limit) if each.limit is not None else "-",
            size(each.disk) if each.disk is not None else "-",
        )
        for each in found
    ]


def size(count: int) -> str:
    """Bytes in a unit that people read; pure."""
    number, units = float(count), ["B", "KiB", "MiB", "GiB"]
    while number >= 1024 and len(units) > 1:
        number /= 1024
        units.pop(0)
    return f"{number:.0f} {units[0]}" if number >= 10 or units[0] == "B" else f"{number:.1f} {units[0]}"
