"""The comparisons with peers: `python bench` measures, and writes a page of results."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import footprint
import machines
import many
import report
import rows
import tools
from measuring import PROJECT, measure

from provision.process import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from measuring import Measured, Row


def main() -> None:
    """Measure the rows that were asked for; only all of a page's rows together make the page."""
    words = argparse.ArgumentParser(prog="python bench", description=__doc__)
    words.add_argument("rows", nargs="*", help="words of row titles; all rows otherwise")
    words.add_argument("--runs", type=int, help="as many runs of each")
    words.add_argument("--machines", action="store_true", help="virtual machines instead of containers")
    arguments = words.parse_args()

    def wanted(known: Sequence[Row]) -> Sequence[Row]:
        found = [
            row for row in known if not arguments.rows or any(word in row.title for word in arguments.rows)
        ]
        return (
            found
            if arguments.runs is None
            else [dataclasses.replace(row, runs=arguments.runs) for row in found]
        )

    if arguments.machines:
        measured = _measured(wanted(machines.rows()), machines.remove_everything)
        facts = _facts("footprint", footprint.footprint, arguments.rows)
        name, page = "results-vm.md", report.page(report.MACHINES, measured, *facts)
    else:
        missing = tools.fetch_dev_containers()
        with tempfile.TemporaryDirectory() as scratch:
            known = rows.rows(not missing, Path(scratch))
            measured = _measured(wanted(known), tools.remove_everything)
        name = "results.md"
        facts = _facts("many", many.many, arguments.rows)
        page = report.page(report.CONTAINERS, measured, report.dev_containers(missing), *facts)
    if not arguments.rows:
        (PROJECT / "bench" / name).write_text(page)
    print(page)


def _facts(
    name: str, measured: Callable[[Callable[[str], None]], Sequence[str]], rows: Sequence[str]
) -> Sequence[str]:
    """The lines of a measurement that is no row, if all rows or its name were given."""
    return measured(lambda line: print(line, file=sys.stderr)) if not rows or name in rows else ()


def _measured(wanted: Sequence[Row], clear: Callable[[], None]) -> Sequence[Measured]:
    clear()
    try:
        return [measure(row, lambda line: print(line, file=sys.stderr)) for row in wanted]
    except CommandFailed as error:
        sys.exit("\n".join([str(error), *error.evidence]))
    finally:
        clear()


main()
