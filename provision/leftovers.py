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
TEMPORARY = re.compile(rf"{runtime.TEMPORARY}(?:compare-)?[a-z0-9_]{{8}}")


def dead_sockets() -> tuple[Path, ...]:
    """Sockets of this user's machines and relays whose process has ended; none where that cannot be seen."""
    try:
        bound = {line.split()[-1] for line in BOUND.read_text().splitlines()}
    except OSError:
        return ()
    folder = runtime.sockets()
    paths = [path for path in folder.iterdir() if _is_socket(path) and str(path) not in bound]
    return tuple(sorted(path for path in paths if _refuses(path)))


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False


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
