"""Which variations a test runs: shards that cover each exactly once, and those that failed last time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import UsageError
from provision.records import DamagedRecord
from provision.shards import LastRun, Shard, failed_in, in_shard, merge, parse_shard, recall, remember

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = st.lists(st.integers(), unique=True, max_size=30).map(lambda numbers: [[str(n)] for n in numbers])
COUNTS = st.integers(1, 12)


def split(groups: list[list[str]], count: int) -> list[list[list[str]]]:
    return [
        [list(each) for each in in_shard(groups, Shard(index=index, count=count))]
        for index in range(1, count + 1)
    ]


@given(GROUPS, COUNTS)
def test_the_shards_cover_each_exactly_once(groups: list[list[str]], count: int) -> None:
    parts = split(groups, count)
    assert sorted(each for part in parts for each in part) == sorted(groups)


@given(GROUPS, COUNTS)
def test_the_shards_are_of_one_size(groups: list[list[str]], count: int) -> None:
    sizes = [len(part) for part in split(groups, count)]
    assert max(sizes) - min(sizes) <= 1


@given(GROUPS, COUNTS)
def test_a_new_one_at_the_end_moves_no_other(groups: list[list[str]], count: int) -> None:
    before, after = split(groups, count), split([*groups, ["new"]], count)
    assert [[each for each in part if each != ["new"]] for part in after] == before


def test_one_shard_is_all_in_their_order() -> None:
    assert split([["a"], ["b", "c"]], 1) == [[["a"], ["b", "c"]]]


@pytest.mark.parametrize(("text", "index", "count"), [("1/1", 1, 1), ("2/3", 2, 3), ("3/3", 3, 3)])
def test_a_shard_is_read(text: str, index: int, count: int) -> None:
    shard = parse_shard(text)
    assert shard == Shard(index=index, count=count)
    assert str(shard) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((text, "this must be I/N, two numbers")
          for text in ("x", "", "1", "1/", "/2", "1/2/3", "-1/2", "1.5/2", " 1/2", "1/2\n", "1/٣")),
        ("3/2", "there is no shard 3 of 2"),
        ("0/2", "there is no shard 0 of 2"),
        ("0/0", "there is no shard 0 of 0"),
        ("1/0", "there is no shard 1 of 0"),
    ],
)  # fmt: skip
def test_what_is_no_shard_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_shard(text)
    assert caught.value.message == f"--shard {text}: {reason}"
    assert "--shard 1/3" in caught.value.hint


Outcomes = dict[str, Literal["passed", "failed"]]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ({}, []),
        ({"a": "passed", "b": "passed"}, []),
        ({"b": "failed"}, [["b", "c"]]),  # its other form too: they are compared
        ({"a": "failed", "c": "failed"}, [["a"], ["b", "c"]]),
        ({"gone": "failed"}, []),
    ],
)
def test_only_what_failed_is_run_again(outcomes: Outcomes, expected: list[list[str]]) -> None:
    assert list(failed_in(LastRun(outcomes=outcomes), [["a"], ["b", "c"], ["d"]])) == expected


@pytest.mark.parametrize(
    ("before", "ran", "failed", "after"),
    [
        (None, "abc", "b", {"a": "passed", "b": "failed", "c": "passed"}),
        ({"a": "failed"}, "a", "", {"a": "passed"}),
        ({"a": "passed"}, "a", "a", {"a": "failed"}),
        ({"a": "failed", "b": "failed"}, "b", "", {"a": "failed", "b": "passed"}),  # another shard's stays
        ({"a": "failed", "gone": "failed"}, "b", "", {"a": "failed", "b": "passed"}),
    ],
)
def test_a_run_changes_the_record_of_what_ran(
    before: Outcomes | None, ran: str, failed: str, after: Outcomes
) -> None:
    last = None if before is None else LastRun(outcomes=before)
    assert merge(last, ran, failed, "abc").outcomes == after


def test_the_last_run_is_remembered(tmp_path: Path) -> None:
    file = tmp_path / "last.json"
    remember(file, ["a", "b"], ["b"], ["a", "b", "c"])
    assert json.loads(file.read_text())["version"] == 1
    remember(file, ["c"], [], ["a", "b", "c"])
    assert recall(file, "dev").outcomes == {"a": "passed", "b": "failed", "c": "passed"}


def test_without_a_last_run_there_is_nothing_to_run_again(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no earlier test of dev is recorded") as caught:
        recall(tmp_path / "last.json", "dev")
    assert "`provision test`" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "{", '{"version": 2, "outcomes": {}}', '{"version": 1, "outcomes": {"a": "x"}}']
)
def test_a_damaged_record_is_refused_and_replaced_by_the_next_run(tmp_path: Path, text: str) -> None:
    file = tmp_path / "last.json"
    file.write_text(text)
    with pytest.raises(DamagedRecord, match=r"last\.json cannot be used"):
        recall(file, "dev")
    remember(file, ["a"], [], ["a"])
    assert recall(file, "dev").outcomes == {"a": "passed"}
