"""Answers as pages: one file each, which needs no network and no JavaScript.

What machines and specs hold is data to a page: Jinja escapes all of it, and what steers a reader's
eye (marks of direction, of no width) is shown by its number, as on a terminal.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from provision import __version__, engine, registry, resources
from provision.errors import SpecError, UsageError
from provision.measure import tables
from provision.measure.sentence import sentence
from provision.page.drawing import draw
from provision.page.graph import graph_of
from provision.progress import visible
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jinja2 import Environment as Jinja

    from provision.comparison import Comparison
    from provision.engine import Request
    from provision.measure.model import Cell, Report, Row
    from provision.model import Result
    from provision.page.drawing import Drawing
    from provision.page.graph import Graph

FOLDER = "page"
LEAST = 0.8  # per cent: a bar that can be seen
MARKS = {"passed": "✓", "failed": "✗", "skipped": "-"}


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A form's value as a bar: per cent of the greatest; the spread on the same scale."""

    backend: str
    heading: str
    text: str
    detail: str
    width: float
    low: float
    high: float
    best: bool


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A row as the page shows it: bars, or a text for each form where it has none."""

    row: Row
    bars: tuple[Bar, ...]
    verdict: str
    drawn: bool


def of_comparison(report: Report, graph: Drawing | None) -> str:
    """The page of `compare`."""
    groups = [(group, [measured(report, row) for row in rows]) for group, rows in tables.grouped(report.rows)]
    known = {each.row.name: each for _, rows in groups for each in rows}
    tiles = [known[name] for name in ("ready", "memory", "stored", "requests") if name in known]
    return _page(
        "compare.html.j2",
        title=f"{report.name}: {' and '.join(form.heading.lower() for form in report.forms)}",
        sentence=sentence(report),
        notes=list(tables.notes(report)),
        report=report,
        groups=groups,
        tiles=[tile for tile in tiles if tile.drawn],
        where=tables.measured_where(report),
        drawing=graph,
    )


def measured(report: Report, row: Row) -> Measured:
    """A row with its bars on one scale."""
    cells: list[tuple[str, str, Cell]] = [
        (form.backend, form.heading, tables.cell_of(form, row)) for form in report.forms
    ]
    greatest = max((value for _, _, cell in cells for value in cell.values), default=0)
    praise = tables.praise(report, row)

    def bar(backend: str, heading: str, cell: Cell) -> Bar:
        def share(value: float) -> float:
            return round(100 * value / greatest, 2) if greatest else 0

        low, high = cell.spread or (0, 0)
        return Bar(
            backend=backend,
            heading=heading,
            text=tables.value(cell, row),
            detail=tables.detail(cell, row),
            width=max(share(cell.median), LEAST) if cell.median is not None else 0,
            low=share(low),
            high=share(high),
            best=praise.startswith(f"{heading}:"),
        )

    return Measured(
        row=row,
        bars=tuple(bar(*each) for each in cells),
        verdict=praise,
        drawn=greatest > 0,
    )


def of_test(
    name: str,
    runs: Mapping[str, Sequence[Result]],
    graph: Drawing | None,
    comparisons: Sequence[Comparison] = (),
    notes: Sequence[str] = (),
) -> str:
    """The page of `test`: every check in every variation, and how their machines differ.

    A check that one has and another has not is one that does not concern the other. `notes` say which
    of a spec's environments these are.
    """
    by_run = {run: {(each.machine, each.check): each for each in results} for run, results in runs.items()}
    checks = list(dict.fromkeys(check for results in by_run.values() for check in results))
    rows = [
        (machine, check, [by_run[run].get((machine, check)) for run in runs]) for machine, check in checks
    ]
    rows.sort(key=lambda row: all(each is None or each.outcome == "passed" for each in row[2]))
    counts = {
        run: {outcome: sum(each.outcome == outcome for each in results) for outcome in MARKS}
        for run, results in runs.items()
    }
    seconds = {run: sum(each.seconds for each in results) for run, results in runs.items()}
    failures = [(run, each) for run, results in runs.items() for each in results if each.outcome != "passed"]
    return _page(
        "test.html.j2",
        title=f"{name}: {len(checks)} checks",
        sentence=" ".join(
            [
                _of_checks(len(checks), rows, list(runs), comparisons),
                *(f"{note.capitalize()}." for note in notes),
            ]
        ),
        comparisons=comparisons,
        runs=list(runs),
        rows=rows,
        counts=counts,
        seconds=seconds,
        failures=failures,
        marks=MARKS,
        drawing=graph,
    )


def _of_checks(
    count: int,
    rows: Sequence[tuple[str, str, Sequence[Result | None]]],
    runs: Sequence[str],
    comparisons: Sequence[Comparison],
) -> str:
    """What a test says, in a sentence."""
    if not runs:
        return "Nothing to test."
    where = f"in {' and '.join(runs)}" if len(runs) < 3 else f"in all {len(runs)} variations"
    wrong = sum(any(each is not None and each.outcome != "passed" for each in row) for _, _, row in rows)
    checks = f"{count} check{'' if count == 1 else 's'}"
    text = (
        f"{wrong} of {checks} did not pass everywhere ({', '.join(runs)})"
        if wrong
        else f"{checks} passed {where}"
    )
    if not comparisons:
        return f"{text}."
    unexplained = sum(len(each.unexplained) for each in comparisons)
    return f"{text}; {unexplained or 'no'} unexplained difference{'' if unexplained == 1 else 's'}."


def of_differences(comparison: Comparison, graph: Drawing | None) -> str:
    """The page of `diff`: unexplained differences first, the others by their reason."""
    unexplained = comparison.unexplained
    by_reason: dict[str, list[object]] = {}
    for each in comparison.differences:
        if each.reason is not None:
            by_reason.setdefault(each.reason, []).append(each)
    explained = len(comparison.differences) - len(unexplained)
    count = f"{len(unexplained) or 'No'} unexplained difference{'' if len(unexplained) == 1 else 's'}"
    return _page(
        "diff.html.j2",
        title=f"{comparison.name}: {comparison.left} and {comparison.right}",
        sentence=f"{count} between {comparison.left} and {comparison.right}; {explained} explained.",
        comparison=comparison,
        unexplained=unexplained,
        explained=explained,
        reasons=sorted(by_reason.items(), key=lambda pair: -len(pair[1])),
        drawing=graph,
    )


def drawing(request: Request) -> Drawing | None:
    """The environment of a request as its pages draw it; None where its spec cannot be read any more."""
    try:
        return draw(graph_of(engine.load(replace(request, backend=registry.DEFAULT), looking=True)))
    except SpecError:
        return None


def svg(graph: Graph) -> str:
    """A graph as a file of its own."""
    return _jinja().get_template(f"{FOLDER}/graph.svg.j2").render(drawing=draw(graph), own=True)


def write(path: Path, text: str) -> None:
    """Write a page.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "backslashreplace"))  # a name may hold bytes of no text
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="name another file") from error


def _page(template: str, **values: object) -> str:
    script = (resources.folder("templates") / FOLDER / "filter.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _jinja()
        .get_template(f"{FOLDER}/{template}")
        .render(version=__version__, script=script, script_digest=digest, own=False, **values)
    )


@cache
def _jinja() -> Jinja:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        return (
            visible(value, lines=True) if isinstance(value, str) and not isinstance(value, Markup) else value
        )

    jinja = Environment(
        loader=FileSystemLoader(resources.folder("templates")),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["script"] = Markup  # our own file, whose digest the page's policy names
    return jinja
