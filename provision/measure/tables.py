"""A comparison as a table: for a terminal, for Markdown, for a program."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

from provision.measure.figures import compare, factor, share, shown, spread
from provision.measure.model import Cell
from provision.measure.sentence import sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provision.measure.model import Form, Report, Row

NOTHING = "-"


def cell_of(form: Form, row: Row) -> Cell:
    """What a form has for a row."""
    return form.cells.get(row.name) or Cell(note="not measured" if not form.missing else "")


def value(cell: Cell, row: Row) -> str:
    """The median in its unit, or the text; why there is neither."""
    if cell.median is not None:
        return shown(cell.median, row.unit)
    return cell.text or cell.note or NOTHING


def detail(cell: Cell, row: Row) -> str:
    """The spread, and what there is to know of a value."""
    note = cell.note if cell.median is not None or cell.text else ""
    return "; ".join(part for part in (spread(cell, row.unit), note) if part)


def verdict(report: Report, row: Row) -> str:
    """`container 9 times`: which form is better, and how many times."""
    if len(report.forms) != 2:
        return ""
    one, other = report.forms
    ratio = compare(row, cell_of(one, row), cell_of(other, row))
    if ratio is None:
        return ""
    if ratio.better == "neither":
        return "equal"
    better = one if ratio.better == "first" else other
    return f"{better.heading.lower()} {factor(ratio.times)}"


def praise(report: Report, row: Row) -> str:
    """`Container: 9 times as quick`: which form is better, and how, for a page."""
    one, other = report.forms if len(report.forms) == 2 else (None, None)
    ratio = compare(row, cell_of(one, row), cell_of(other, row)) if one and other else None
    if ratio is None or one is None or other is None:
        return ""
    if ratio.better == "neither":
        return "Equal"
    better = one if ratio.better == "first" else other
    if row.unit == "bytes":
        return f"{better.heading}: {share(ratio.times)} of it"
    way = {"seconds": "as quick", "count": "as many"}.get(row.unit, "as much")
    return f"{better.heading}: {factor(ratio.times)} {way}"


def notes(report: Report) -> Iterator[str]:
    """What to know of the figures: what was not measured, and what of this host makes them special."""
    for form in report.forms:
        if form.missing:
            yield f"{form.heading} not measured: {form.missing}"
        yield from form.caveats


def measured_where(report: Report) -> str:
    """The environment, the machine, the host."""
    host = report.host
    inside = f", inside {report.machine}" if report.machines > 1 else ""
    machines = f", {report.machines} machines{inside}" if report.machines > 1 else ""
    return (
        f"{report.name}{machines}; measured {report.taken[:10]} in {report.seconds:.0f} s on {host.cpus}"
        f" CPUs ({host.processor}), {host.memory / 2**30:.0f} GiB, {host.system}"
    )


def grouped(rows: Sequence[Row]) -> Iterator[tuple[str, tuple[Row, ...]]]:
    """The rows by the heading that they stand under."""
    for group, members in groupby(rows, key=lambda row: row.group):
        yield group, tuple(members)


def markdown(report: Report) -> str:
    """The report as a page of Markdown: a table, and the methods below it."""
    lines = [f"**{_escaped(sentence(report))}**", ""]
    lines += [f"> {_escaped(note)}  " for note in notes(report)]
    lines += [""] if lines[-1] else []
    headings = ["", *(form.heading for form in report.forms), "better"]
    lines += [_row(headings), _row(["---"] * len(headings))]
    for group, rows in grouped(report.rows):
        lines.append(_row([f"**{group}**", *[""] * (len(headings) - 1)]))
        for row in rows:
            cells = []
            for form in report.forms:
                cell = cell_of(form, row)
                more = detail(cell, row)
                cells.append(_escaped(value(cell, row)) + (f" <sub>{_escaped(more)}</sub>" if more else ""))
            lines.append(_row([f"{_escaped(row.title)} [^{row.name}]", *cells, verdict(report, row)]))
    lines += ["", f"{_escaped(measured_where(report))}. Medians; the range of the runs beside them.", ""]
    lines += [f"[^{row.name}]: {row.method}" for row in report.rows]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Text of others, which may hold what Markdown or HTML reads."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")
    return plain.replace("*", "\\*").replace("_", "\\_").replace("[", "\\[")


def data(report: Report) -> dict[str, object]:
    """The report for a program."""
    return {
        "name": report.name,
        "sentence": sentence(report),
        "machine": report.machine,
        "machines": report.machines,
        "taken": report.taken,
        "seconds": round(report.seconds, 1),
        "host": asdict(report.host),
        "forms": [
            {"backend": form.backend, "missing": form.missing, "caveats": list(form.caveats)}
            for form in report.forms
        ],
        "rows": [
            {
                "name": row.name, "group": row.group, "title": row.title, "unit": row.unit,
                "better": row.better, "method": row.method,
                "values": {
                    form.backend: {
                        "median": cell.median, "values": list(cell.values), "text": cell.text,
                        "note": cell.note,
                    }
                    for form in report.forms
                    for cell in [cell_of(form, row)]
                },
            }
            for row in report.rows
        ],
    }  # fmt: skip
