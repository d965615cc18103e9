"""One change at a time: the second command says what it waits for, then continues."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from provision.progress import Progress

MOMENT = 0.5  # seconds, for which nobody needs to be told why nothing happens
PAUSE = 0.02  # seconds between two tries


class Held(Exception):
    """Another process or thread holds the lock."""


@contextmanager
def exclusive(path: Path, *, timeout: float | None = None) -> Iterator[None]:
    """Hold the lock file at `path`, which is made where it is missing; by `flock`.

    A lock ends with its process, however that ends, so no wait is for a dead one.

    Args:
        path: the file; its holder may remove it.
        timeout: seconds to wait for its holder; forever unless given.

    Raises:
        Held: another has held it all that time.
    """
    descriptor = _take(path, None if timeout is None else time.monotonic() + timeout)
    try:
        yield
    finally:
        _release(descriptor)


@contextmanager
def hold(path: Path, progress: Progress, *, holder: Callable[[], str]) -> Iterator[None]:
    """Hold the lock at `path`; wait for its present holder. Its file is removed by whoever releases it.

    Args:
        path: the lock's file.
        progress: told whose process it waits for, if that takes more than a moment.
        holder: who holds it, in words.
    """
    try:
        descriptor = _take(path, time.monotonic() + MOMENT)
    except Held:
        with progress.step(f"waiting for {holder()} to finish"):
            descriptor = _take(path, None)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever waits sees that, and makes it anew
        _release(descriptor)


def _take(path: Path, deadline: float | None) -> int:
    """The descriptor of the file, locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            _wait(descriptor, deadline)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder has removed it: a lock on what nobody else can open


def _release(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile has a copy of the descriptor
    os.close(descriptor)


def _wait(descriptor: int, deadline: float | None) -> None:
    if deadline is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Held from None
            time.sleep(PAUSE)
        else:
            return
