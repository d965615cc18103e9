"""Listening to what provision logs."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Listener(logging.Handler):
    """Passes the text of each message of a level, and of those above it, on."""

    def __init__(self, each: Callable[[str], None], level: int) -> None:
        super().__init__(level)
        self._each = each

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on; see `logging.Handler`."""
        self._each(record.getMessage())


def listen(logger: str, each: Callable[[str], None]) -> None:
    """Pass the text of each message of a logger on from now on, down to DEBUG."""
    logging.getLogger(logger).setLevel(logging.DEBUG)
    logging.getLogger(logger).addHandler(Listener(each, logging.DEBUG))


@contextmanager
def listening(logger: str, each: Callable[[str], None]) -> Iterator[None]:
    """Pass the text of each message of a logger on that is INFO or above."""
    chosen, listener = logging.getLogger(logger), Listener(each, logging.INFO)
    level = chosen.level
    chosen.addHandler(listener)
    chosen.setLevel(min(level, logging.INFO) if level else logging.INFO)
    try:
        yield
    finally:
        chosen.removeHandler(listener)
        chosen.setLevel(level)
