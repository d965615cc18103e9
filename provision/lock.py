"""One change at a time: the second command says what it waits for, then continues."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from provision.progress import Progress

MOMENT = 0.5  # seconds, for which nobody needs to be told why nothing happens


@contextmanager
def hold(path: Path, progress: Progress, *, holder: Callable[[], str]) -> Iterator[None]:
    """Hold the lock at `path`; wait for its present holder.

    A lock ends with its process, however that ends, so no wait is for a dead one. Its file is
    removed by whoever releases it.

    Args:
        path: the lock's file.
        progress: told whose process it waits for, if that takes more than a moment.
        holder: who holds it, in words.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=MOMENT)
    except Timeout:
        with progress.step(f"waiting for {holder()} to finish"):
            lock.acquire()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever waits sees that, and makes it anew
        lock.release()
