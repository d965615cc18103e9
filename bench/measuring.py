"""The runner: whole processes, timed by the wall clock, the peers of a row taking turns."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is timed, and what makes ready for it, untimed, before every run."""

    argv: Sequence[str]
    before: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What the tool should reach: at most `limit` seconds, or `limit` times a peer."""

    limit: float
    peer: str = ""

    def __str__(self) -> str:
        return f"{self.limit:g} of {self.peer}" if self.peer else f"{self.limit:g} s"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison: a command for each peer, the tool's own under OURS.

    `other_aims` are those of the tool's other forms, by their names among the commands.
    """

    title: str
    commands: Mapping[str, Command]
    aim: Aim | None = None
    other_aims: Mapping[str, Aim] = field(default_factory=dict)
    runs: int = 7
    warm_ups: int = 1


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A row with the seconds of each peer's runs."""

    row: Row
    seconds: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def median(self, peer: str) -> float:
        """The median of a peer's runs, in seconds."""
        return statistics.median(self.seconds[peer])


def measure(row: Row, say: Callable[[str], None]) -> Measured:
    """Run the commands of a row in turns (A B A B), after a round or none that is not counted.

    That round warms the page cache and Python's compiled files for everyone.

    Raises:
        CommandFailed: one of the commands did; a failure is no figure.
    """
    seconds: dict[str, list[float]] = {peer: [] for peer in row.commands}
    for turn in range(row.warm_ups + row.runs):
        for peer, command in row.commands.items():
            for argv in command.before:
                process.run(argv, cwd=PROJECT)
            begun = time.perf_counter()
            process.run(command.argv, cwd=PROJECT)
            took = time.perf_counter() - begun
            say(f"{row.title}: {peer} {took:.2f} s{' (not counted)' if turn < row.warm_ups else ''}")
            if turn >= row.warm_ups:
                seconds[peer].append(took)
    return Measured(row=row, seconds=seconds)
