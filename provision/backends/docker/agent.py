"""The person's SSH agent in containers: a socket in a folder that they mount, which a relay serves.

The agent's own socket cannot be mounted: it answers only its user, and after a new login it
is another, at another path. The folder stays, and so does what is mounted of it.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from provision import lent, process, runtime
from provision.errors import HostLacks

if TYPE_CHECKING:
    from pathlib import Path

    from provision.state import StateDir

STARTS_WITHIN = 5.0  # seconds
BETWEEN = 0.02
NAME = lent.SOCKET.rpartition("/")[2]


def folder(state_dir: StateDir) -> Path:
    """The folder that an environment's containers mount; a socket's path has at most 108 bytes."""
    return runtime.sockets() / f"agent-{state_dir.id}"


def prepare(state_dir: StateDir) -> Path:
    """Create the folder, with the agent in it if this host has one."""
    where = folder(state_dir)
    where.mkdir(mode=0o755, exist_ok=True)
    where.chmod(0o755)  # for the users inside; on this host the folder around it is private
    lend(state_dir)
    return where


def lend(state_dir: StateDir) -> None:
    """Point to this process's agent, if it has one and a container mounts the folder."""
    where, agent = folder(state_dir), lent.agent()
    if agent is None or not where.is_dir():
        return
    target = _target(where)
    beside = target.with_suffix(f".{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(agent.absolute())
    beside.replace(target)
    if _answers(where / NAME):
        return
    process.detach([sys.executable, "-m", "provision.relay", str(where / NAME), str(target)])
    deadline = time.monotonic() + STARTS_WITHIN
    while not _answers(where / NAME) and time.monotonic() < deadline:
        time.sleep(BETWEEN)


def end(state_dir: StateDir) -> None:
    """Withdraw the agent: its relay ends. The folder stays, because a stopped container mounts it."""
    where = folder(state_dir)
    for path in (_target(where), where / NAME):
        path.unlink(missing_ok=True)


def forget(state_dir: StateDir) -> None:
    """Remove the folder too."""
    with suppress(HostLacks):  # then there can be nothing to remove
        end(state_dir)
        shutil.rmtree(folder(state_dir), ignore_errors=True)


def _target(where: Path) -> Path:
    """The link to the agent: next to the folder, where no machine reaches it."""
    return where.with_name(f"{where.name}.host")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as call:
        try:
            call.connect(str(path))
        except OSError:
            return False
    return True
