"""Answers that follow from their question alone, kept in the user's cache from one run to the next.

A question's key holds everything that its answer depends on, the code that answers it too. So an
answer is never out of date: it is found, or it is worked out again. Anyone may remove any of them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from provision import resources

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 500  # answers; the oldest go
LARGEST = 256 * 1024  # bytes of an answer: what is longer is worked out again


def key(*parts: bytes) -> str:
    """The key of a question, from all that its answer depends on."""
    total = hashlib.sha256()
    for part in parts:
        total.update(f"{len(part)}:".encode() + part)
    return total.hexdigest()


def library(*names: str) -> bytes:
    """Which libraries would answer, by where they are and since when; nothing is imported.

    Reading their version from their metadata takes as long as importing a small one.
    """
    found = [sys.version]
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            found += [spec.origin, str(Path(spec.origin).stat().st_mtime_ns)]
    return "\0".join(found).encode()


def recall(key: str) -> bytes | None:
    """The answer that was kept under a key, if there is one."""
    try:
        check, _, answer = (_folder() / key).read_bytes().partition(b"\n")
    except OSError:
        return None
    return answer if check == _check(answer) else None  # a power cut may leave half of it


def keep(key: str, answer: bytes) -> None:
    """Keep an answer; without a word where that is not possible: it can be worked out again."""
    if len(answer) > LARGEST:
        return
    folder = _folder()
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_room(folder)
        half = folder / f".{key}.{os.getpid()}"
        try:
            half.write_bytes(_check(answer) + b"\n" + answer)
            half.replace(folder / key)
        except OSError:
            half.unlink(missing_ok=True)


def _folder() -> Path:
    return resources.cache() / "answers"


def _check(answer: bytes) -> bytes:
    return hashlib.sha256(answer).hexdigest().encode()


def _make_room(folder: Path) -> None:
    """Remove the older half where there are too many."""
    kept = list(folder.iterdir())
    if len(kept) >= MOST:
        for path in sorted(kept, key=_kept_at)[: MOST // 2]:
            path.unlink(missing_ok=True)


def _kept_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # another process removed it


def state_of(folder: Path) -> Iterator[str]:
    """A line for each file below a folder that changes when the file does; compiled Python is left out."""
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from state_of(Path(entry.path))
        else:
            status = entry.stat()
            yield f"{entry.path} {status.st_mtime_ns} {status.st_size}"
