"""What a comparison says, in one plain sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.measure.figures import compare, factor, share, shown
from provision.measure.model import Cell
from provision.measure.rows import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.measure.figures import Ratio
    from provision.measure.model import Form, Report

OWN_KERNEL = "its own"  # how the text of the row `kernel` begins, where it is not the host's


def sentence(report: Report) -> str:
    """The sentence on top: how the two forms compare, or what is known of the one that was measured."""
    measured = [form for form in report.forms if not form.missing]
    if len(measured) == 2:
        return _of_both(measured[0], measured[1])
    if len(measured) == 1:
        return _of_one(measured[0], [form for form in report.forms if form.missing])
    return "Neither form could be measured on this host."


def _of_both(one: Form, other: Form) -> str:
    parts = _in_figures(one, other)
    border = _border(one, other)
    if not parts and not border:
        return "For this spec nothing of the two forms that can be compared was measured."
    figures = f"for this spec {parts}" if parts else ""
    text = "; ".join(part for part in (figures, border) if part)
    return f"{text[0].upper()}{text[1:]}."


def _in_figures(one: Form, other: Form) -> str:
    """How quickly they start and how much memory they take, the quicker one being the subject."""
    start, memory = _ratio(one, other, "ready"), _ratio(one, other, "memory")
    if start is None and memory is None:
        return _of_any(one, other)
    subjects = [_better(one, other, ratio) for ratio in (start, memory) if ratio]
    subject = next((each for each in subjects if each), None)
    if subject is None:
        what = [w for w, r in (("start equally quickly", start), ("take as much memory", memory)) if r]
        return f"both forms {' and '.join(what)}"
    parts = []
    if start is not None:
        mine = _better(one, other, start)
        parts.append(
            "starts as quickly" if mine is None
            else f"starts {factor(start.times)} as quickly" if mine is subject
            else f"takes {factor(start.times)} as long to start"
        )  # fmt: skip
    if memory is not None:
        mine = _better(one, other, memory)
        parts.append(
            "takes as much memory" if mine is None
            else f"takes {share(memory.times)} of the memory" if mine is subject
            else f"takes {factor(memory.times)} the memory"
        )  # fmt: skip
    return f"{subject.noun} {' and '.join(parts)}"


def _of_any(one: Form, other: Form) -> str:
    """How they compare in the first row that both have, where neither start nor memory was asked for."""
    for name, row in BY_NAME.items():
        ratio = _ratio(one, other, name)
        if ratio is None:
            continue
        subject = _better(one, other, ratio)
        if subject is None:
            return f"both forms are equal in “{row.title}”"
        return f"{subject.noun} is {factor(ratio.times)} as good in “{row.title}”"
    return ""


def _border(one: Form, other: Form) -> str:
    """Who has a kernel of its own."""
    owners = [form for form in (one, other) if _cell(form, "kernel").text.startswith(OWN_KERNEL)]
    return f"{owners[0].noun} gives it its own kernel" if len(owners) == 1 else ""


def _of_one(form: Form, others: Sequence[Form]) -> str:
    parts = []
    if (start := _cell(form, "ready").median) is not None:
        parts.append(f"is ready in {shown(start, 'seconds')}")
    if (memory := _cell(form, "memory").median) is not None:
        parts.append(f"takes {shown(memory, 'bytes')} of memory")
    figures = (
        f"For this spec {form.noun} {' and '.join(parts)}" if parts else f"Only {form.noun} was measured"
    )
    missing = "; ".join(f"{other.noun} was not measured: {other.missing}" for other in others)
    return f"{figures}{f'; {missing}' if missing else ''}."


def _cell(form: Form, name: str) -> Cell:
    return form.cells.get(name) or Cell()


def _ratio(one: Form, other: Form, name: str) -> Ratio | None:
    return compare(BY_NAME[name], _cell(one, name), _cell(other, name))


def _better(one: Form, other: Form, ratio: Ratio) -> Form | None:
    """The form that is better, None where they are equal."""
    return {"first": one, "second": other, "neither": None}[ratio.better]
