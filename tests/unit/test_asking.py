"""`up` asks a person before it throws a machine's disk away, and nobody else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import click
import pytest

from provision.backends.base import Plan, PlannedAction, losing
from provision.cli import up
from provision.cli.plan import consequences
from provision.errors import UsageError

if TYPE_CHECKING:
    from provision.model import Environment

ENVIRONMENT = cast("Environment", SimpleNamespace(name="dev"))
RECREATE = PlannedAction(machine="dev", action="recreate", cause="port 80 added")
LOSING = Plan(machines=(losing(RECREATE, "its own disk", ["dev.data"], precious=True),), seconds=41.6)
KEEPING = Plan(machines=(losing(RECREATE, "what was written", []),))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions, on a terminal on which a person says no."""
    questions: list[str] = []

    def confirm(text: str, **_options: Any) -> bool:
        questions.append(text)
        return False

    monkeypatch.setattr(click, "confirm", confirm)
    monkeypatch.setattr(up, "sys", _streams(typing=True))
    return questions


def _streams(*, typing: bool) -> SimpleNamespace:
    """What `up` sees of a terminal, on which somebody types or not."""
    return SimpleNamespace(
        stdin=SimpleNamespace(isatty=lambda: typing), stderr=SimpleNamespace(isatty=lambda: True)
    )


def test_a_person_may_keep_the_disk(asked: list[str]) -> None:
    with pytest.raises(UsageError, match="dev is as it was") as raised:
        up._ask(LOSING, ENVIRONMENT, yes=False)
    assert asked == ["dev will lose its disk. Go on?"]
    assert "--yes" in raised.value.hint


def test_nobody_is_asked_in_vain(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    up._ask(LOSING, ENVIRONMENT, yes=True)
    up._ask(KEEPING, ENVIRONMENT, yes=False)
    monkeypatch.setattr(up, "sys", _streams(typing=False))
    up._ask(LOSING, ENVIRONMENT, yes=False)
    assert asked == []


def test_a_plan_says_what_is_lost_and_kept_and_how_long_it_took() -> None:
    assert consequences(LOSING) == [
        "dev loses its own disk; it keeps volume dev.data",
        "the last such change took 42 s",
    ]
    assert consequences(KEEPING) == ["dev loses what was written"]
