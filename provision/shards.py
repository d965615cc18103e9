"""Which of a spec's variations `provision test` runs: a shard of them, or those that failed last time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from provision import records
from provision.errors import UsageError
from provision.hints import command
from provision.quick_dataclasses import dataclass
from provision.records import DamagedRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

_SHARD = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One of `count` shares of the variations; `index` counts from 1."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True, kw_only=True)
class LastRun:
    """A record: what became of each environment of a spec when it was tested last."""

    outcomes: Mapping[str, Literal["passed", "failed"]]


def parse_shard(text: str) -> Shard:
    """The shard that `--shard` names.

    Raises:
        UsageError: it is not I/N with I from 1 to N.
    """
    match = _SHARD.fullmatch(text)
    index, count = (int(number) for number in match.groups()) if match else (0, 0)
    if not 1 <= index <= count:
        reason = f"there is no shard {index} of {count}" if match else "this must be I/N, two numbers"
        raise UsageError(
            f"--shard {text}: {reason}",
            hint="for three jobs, give the first `--shard 1/3`, the second `--shard 2/3`,"
            " the third `--shard 3/3`",
        )
    return Shard(index=index, count=count)


def in_shard(groups: Sequence[Sequence[str]], shard: Shard) -> tuple[Sequence[str], ...]:
    """The groups that belong to a shard, in their order.

    Every group belongs to exactly one of the shards, and their sizes differ by one at most. A
    group that is added at the end leaves all others where they are.
    """
    return tuple(groups[shard.index - 1 :: shard.count])


def failed_in(last: LastRun, groups: Sequence[Sequence[str]]) -> tuple[Sequence[str], ...]:
    """The groups of which at least one failed in the last run, in their order."""
    return tuple(group for group in groups if any(last.outcomes.get(each) == "failed" for each in group))


def merge(
    last: LastRun | None, ran: Collection[str], failed: Collection[str], all_: Collection[str]
) -> LastRun:
    """The record after a run: new outcomes of those that ran, the others' as they were.

    Args:
        last: the record before.
        ran: which were tested now.
        failed: which of these failed.
        all_: every one that the spec has; what it no longer has is forgotten.
    """
    before = last.outcomes if last else {}
    kept = {called: before[called] for called in all_ if called in before and called not in ran}
    return LastRun(
        outcomes={**kept, **{called: "failed" if called in failed else "passed" for called in ran}}
    )


def recall(path: Path, own: str) -> LastRun:
    """The record of the last run.

    Raises:
        UsageError: there is none.
        DamagedRecord: it cannot be read.
    """
    last = records.load(path, LastRun)
    if last is None:
        raise UsageError(
            f"no earlier test of {own} is recorded, so --rerun-failed has nothing to repeat",
            hint=f"run all variations first: {command('test')}",
        )
    return last


def remember(path: Path, ran: Collection[str], failed: Collection[str], all_: Collection[str]) -> None:
    """Record what became of the environments that were tested; a damaged record is replaced."""
    try:
        last = records.load(path, LastRun)
    except DamagedRecord:
        last = None
    records.save(path, merge(last, ran, failed, all_))
