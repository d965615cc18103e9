"""What killed commands left on this host: sockets that nobody answers, folders of builds."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from provision import runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND = Path("/proc/net/unix")  # every socket of this network that has a path
DAY = 86400.0  # seconds: no build takes that long
MINUTE = 60.0  # seconds: by then a new socket's client has connected
TEMPORARY = re.compile(rf"{runtime.TEMPORARY}(?:compare-)?[a-z0-9_]{{8}}")


def dead_sockets() -> tuple[Path, ...]:
    """Sockets of this user's machines and relays whose process has ended; none where that cannot be seen.

    A socket younger than a minute is left alone: a machine's network listens in a network namespace
    of its own, accepts one caller, and exits when that one leaves.
    """
    # Listed first: one that is bound meanwhile is not taken for one that nobody holds.
    paths = [path for path in runtime.sockets().iterdir() if _is_old_socket(path)]
    try:
        bound = {line.split()[-1] for line in BOUND.read_text().splitlines()}
    except OSError:
        return ()
    return tuple(sorted(path for path in paths if str(path) not in bound and _refuses(path)))


def _is_old_socket(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) and time.time() - found.st_mtime > MINUTE


def _refuses(path: Path) -> bool:
    """Whether nobody listens, in another network's view either; one that listens here is never touched."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
    return False


def build_folders() -> tuple[Path, ...]:
    """Temporary folders of this user's builds that nobody has written to for a day."""
    return tuple(sorted(path for path in _temporary() if time.time() - _written(path) > DAY))


def _temporary() -> Iterator[Path]:
    for folder in {Path(tempfile.gettempdir()), runtime.SOCKETS, runtime.MEMORY}:
        for path in folder.glob(f"{runtime.TEMPORARY}*") if folder.is_dir() else ():
            try:
                found = path.lstat()
            except OSError:
                continue
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and TEMPORARY.fullmatch(path.name):
                yield path


def _written(path: Path) -> float:
    try:
        return max(each.lstat().st_mtime for each in (path, *path.iterdir()))
    except OSError:
        return time.time()


def size(path: Path) -> int:
    """The bytes of disk that a file or a folder takes, as far as it can be seen."""
    folders = os.walk(path) if path.is_dir() and not path.is_symlink() else ()
    total = 0
    for file in [path, *(Path(at) / name for at, _, names in folders for name in names)]:
        with suppress(OSError):
            total += file.lstat().st_blocks * 512
    return total


def remove(path: Path) -> bool:
    """Remove a file or folder; whether it is gone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return not os.path.lexists(path)
