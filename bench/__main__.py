"""The comparisons with peers: `python bench` measures, and writes bench/results.md."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

import report
import tools
from measuring import PROJECT, measure
from rows import rows

from provision.process import CommandFailed


def main() -> None:
    """Measure the rows that were asked for; only all of them together make the page."""
    words = argparse.ArgumentParser(prog="python bench", description=__doc__)
    words.add_argument("rows", nargs="*", help="words of row titles; all rows otherwise")
    words.add_argument("--runs", type=int, help="as many runs of each")
    asked = words.parse_args()

    missing = tools.fetch_dev_containers()
    with tempfile.TemporaryDirectory() as scratch:
        wanted = [
            row if asked.runs is None else dataclasses.replace(row, runs=asked.runs)
            for row in rows(not missing, Path(scratch))
            if not asked.rows or any(word in row.title for word in asked.rows)
        ]
        tools.remove_everything()
        try:
            measured = [measure(row, lambda line: print(line, file=sys.stderr)) for row in wanted]
        except CommandFailed as error:
            sys.exit("\n".join([str(error), *error.evidence]))
        finally:
            tools.remove_everything()
    page = report.page(measured, missing)
    if not asked.rows:
        (PROJECT / "bench" / "results.md").write_text(page)
    print(page)


main()
