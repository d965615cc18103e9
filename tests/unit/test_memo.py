"""What is kept from one run to the next is only ever the answer to the very same question."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from provision import memo, resources
from provision.errors import SpecError
from provision.spec import contract, expressions
from provision.spec.problems import Budget, Problems
from provision.spec.tree import parse

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "version: 1\nname: dev\nbase: debian:12\nports: [8080]\n"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return resources.cache() / "answers"


def judge(text: str) -> list[tuple[str, int, int]]:
    problems = Problems()
    root = parse(text, "dev.yaml", problems)
    assert root is not None
    contract.check(root, problems)
    try:
        problems.raise_all()
    except SpecError as error:
        return [(each.message, each.origin.line, each.origin.column) for each in error.problems]
    return []


def validators_made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    made: list[object] = []
    original = contract._validator

    def noted(others: tuple[str, ...] = ()) -> object:
        made.append(others)
        return original(others)

    monkeypatch.setattr(contract, "_validator", noted)
    return made


def test_what_the_schema_accepted_is_not_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = validators_made(monkeypatch)
    assert judge(GOOD) == []
    assert made == [()]
    assert judge(GOOD.replace("name: dev", "name:   dev # the same data")) == []
    assert made == [()]


@pytest.mark.parametrize(
    "other",
    [
        GOOD.replace("8080", '"8080"'),
        GOOD.replace("8080", "8081"),
        GOOD.replace("version: 1", "version: true"),
        GOOD.replace("version: 1", "version: 1.0"),
        GOOD.replace("version: 1", 'version: "1"'),
    ],
)
def test_other_data_is_judged(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    judge(GOOD)
    made = validators_made(monkeypatch)
    judge(other)
    assert made == [()]


def test_what_the_schema_refused_is_refused_each_time_at_its_place() -> None:
    wrong = GOOD + "prots: [1]\n"
    first = judge(wrong)
    assert [(line, column) for _, line, column in first] == [(5, 1)]
    assert judge(wrong) == first


@pytest.mark.parametrize("what", ["schema", "version", "validator", "library"])
def test_another_schema_version_or_validator_judges_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    judge(GOOD)
    contract._judge.cache_clear()
    if what == "schema":
        changed = contract.text() + " "
        monkeypatch.setattr(contract, "text", lambda: changed)
    elif what == "version":
        monkeypatch.setattr(contract, "__version__", "0.0.0")
    elif what == "validator":
        copy = tmp_path / "contract.py"
        copy.write_text("# another\n")
        monkeypatch.setattr(contract, "__file__", str(copy))
    else:
        monkeypatch.setattr(memo, "library", lambda *_names: b"another")
    made = validators_made(monkeypatch)
    judge(GOOD)
    contract._judge.cache_clear()
    assert made == [()]


def test_an_expression_is_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget()
    assert expressions.evaluate("a ~ 'x'", {"a": 1}, budget) == "1x"
    spent = Budget().seconds - budget.seconds
    monkeypatch.setattr(expressions, "_sandbox", lambda: pytest.fail("the other process was asked again"))
    again = Budget()
    assert expressions.evaluate("a ~ 'x'", {"a": 1}, again) == "1x"
    assert Budget().seconds - again.seconds == pytest.approx(spent)  # so the limit is met as before


def test_an_error_in_an_expression_is_explained_each_time() -> None:
    for _ in range(2):
        with pytest.raises(expressions.ExpressionError) as caught:
            expressions.evaluate("a.b", {"a": 1}, Budget())
        assert caught.value.name == "a.b" or "a" in str(caught.value)


def test_half_an_answer_is_none(cache: Path) -> None:
    memo.keep("k", b"the whole answer")
    assert memo.recall("k") == b"the whole answer"
    whole = (cache / "k").read_bytes()
    for end in range(len(whole)):
        (cache / "k").write_bytes(whole[:end])
        assert memo.recall("k") is None


def test_parts_of_a_question_cannot_flow_into_each_other() -> None:
    assert memo.key(b"ab", b"c") != memo.key(b"a", b"bc") != memo.key(b"abc")


def test_the_oldest_answers_go(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "MOST", 10)
    for number in range(30):
        memo.keep(f"k{number}", b"x")
        os.utime(cache / f"k{number}", (number, number))
        assert memo.recall(f"k{number}") == b"x"
        assert len(list(cache.iterdir())) <= 10
    assert memo.recall("k0") is None


def test_long_answers_and_folders_that_cannot_be_written_are_no_error(tmp_path: Path, cache: Path) -> None:
    memo.keep("long", b"x" * (memo.LARGEST + 1))
    assert memo.recall("long") is None
    (tmp_path / "cache").write_text("no folder")
    memo.keep("k", b"x")
    assert memo.recall("k") is None
    assert not cache.exists()


def test_a_library_is_known_without_being_imported() -> None:
    before = set(sys.modules)
    assert memo.library("this") != memo.library("antigravity") != memo.library()
    assert "this" not in set(sys.modules) - before
