"""The lock of an environment: held by one, waited for by the others."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from provision import lock
from provision.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Told(Silent):
    """Keeps the titles of the steps, and tells that one has begun."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.begun = threading.Event()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        self.titles.append(title)
        self.begun.set()
        yield


def test_the_second_waits_and_says_for_whom(tmp_path: Path) -> None:
    told, order = Told(), []

    def second() -> None:
        with lock.hold(tmp_path / "lock", told, holder=lambda: "the first"):
            order.append("second")

    with lock.hold(tmp_path / "lock", Silent(), holder=str):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.begun.wait(60)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
    assert told.titles == ["waiting for the first to finish"]


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    told = Told()
    with pytest.raises(KeyError), lock.hold(tmp_path / "lock", told, holder=str):
        raise KeyError
    with lock.hold(tmp_path / "lock", told, holder=str):
        assert told.titles == []
