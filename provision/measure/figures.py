"""Figures as people read them: a value in its unit, its spread, how two of them compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from provision.measure.model import Cell, Row, Unit

ALMOST = 0.9995  # of a unit, which rounds to 1.00 of it
NEAR = 1.1  # two values that differ by less count as equal
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How the first of two values compares with the second, as a person would say it.

    `times` is at least 1: how many times as much the greater is.
    """

    times: float
    greater: Literal["first", "second", "neither"]
    better: Literal["first", "second", "neither"]


def shown(value: float, unit: Unit) -> str:
    """A value in its unit, with the digits that mean something."""
    return "".join(_parts(value, unit))


def _parts(value: float, unit: Unit) -> tuple[str, str]:
    """The number, and what follows it."""
    if unit == "seconds":
        return (digits(value), " s") if value >= ALMOST else (digits(value * 1000), " ms")
    if unit in ("bytes", "bytes per second"):
        end = "/s" if unit == "bytes per second" else ""
        for size, name in _BYTES:
            if value >= size * ALMOST:
                return digits(value / size), f" {name}{end}"
        return f"{value:.0f}", f" bytes{end}"
    if unit == "count" and value < 1000:
        return f"{value:.0f}", ""
    return digits(value), "/s" if unit == "per second" else ""


def digits(value: float) -> str:
    """A number with two or three digits that mean something, thousands apart."""
    if value >= 1000:
        rounded = round(value, 2 - len(str(int(value))) + 1)
        return f"{rounded:,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(cell: Cell, unit: Unit) -> str:
    """`0.81 to 0.93 s, 5 runs`: what the values lie between; empty where there is one value."""
    if cell.spread is None:
        return ""
    runs = f"{len(cell.values)} runs"
    low, high = (_parts(each, unit) for each in cell.spread)
    if low == high:
        return runs
    return f"{low[0]}{'' if low[1] == high[1] else low[1]} to {''.join(high)}, {runs}"


def compare(row: Row, first: Cell, second: Cell) -> Ratio | None:
    """How two cells of a row compare; None where one has no value."""
    one, other = first.median, second.median
    if one is None or other is None or one <= 0 or other <= 0:
        return None
    times = max(one, other) / min(one, other)
    if times < NEAR:
        return Ratio(times=times, greater="neither", better="neither")
    greater: Literal["first", "second"] = "first" if one > other else "second"
    lesser: Literal["first", "second"] = "second" if one > other else "first"
    better = {"more": greater, "less": lesser, "neither": "neither"}[row.better]
    return Ratio(times=times, greater=greater, better=better)  # type: ignore[arg-type] # of the three words


def factor(times: float) -> str:
    """`9 times`, `1.4 times`."""
    return f"{digits(times) if times >= 1000 else f'{times:.0f}' if times >= 3 else f'{times:.1f}'} times"


def share(times: float) -> str:
    """How much the lesser is of the greater: `1/20`, `70 %`."""
    if times >= 1000:
        return f"1/{digits(times)}"
    return f"1/{times:.0f}" if times >= 2.5 else f"{100 / times:.0f} %"
