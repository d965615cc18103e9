"""The nouns of a comparison: rows, what was measured for each form, and the report."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Literal

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

Unit = Literal["seconds", "bytes", "bytes per second", "per second", "count", "text"]
Better = Literal["less", "more", "neither"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that is compared.

    Args:
        name: what `--rows` calls it.
        group: the heading that it stands under.
        title: what it is, for a person.
        unit: of its values; a row of text has none.
        better: which of two values a person would rather have.
        method: how it is measured, in a sentence or two.
        asked_for: it takes so long that only `--rows` with its name measures it.
    """

    name: str
    group: str
    title: str
    unit: Unit
    better: Better
    method: str
    asked_for: bool = False


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a form has for a row: values, or a text; `note` says why neither, or what to know of it."""

    values: tuple[float, ...] = ()
    text: str = ""
    note: str = ""

    @property
    def median(self) -> float | None:
        """The middle one of the values."""
        return median(self.values) if self.values else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """The least and the greatest value, where there are several."""
        return (min(self.values), max(self.values)) if len(self.values) > 1 else None


@dataclass(frozen=True, kw_only=True)
class Form:
    """One form of the spec: its backend, what a sentence calls it, and what is there to know of it.

    `missing` says why it could not be measured; empty where it was. `caveats` are what of this
    host makes its figures other than they are elsewhere.
    """

    backend: str
    noun: str
    heading: str
    cells: Mapping[str, Cell]
    missing: str = ""
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Host:
    """Where it was measured: `memory` in bytes."""

    system: str
    processor: str
    cpus: int
    memory: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """A comparison: which environment and machine, the rows, and each form's cells by row name."""

    name: str
    machine: str
    machines: int
    host: Host
    taken: str
    seconds: float
    rows: tuple[Row, ...]
    forms: tuple[Form, ...]
