"""Secrets on their way into containers: in the host's memory, where Compose finds them.

A secret of a file is that file. One of a variable is laid into a folder in memory that
nobody else may enter, so that a container that is started again has it again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process, secrets
from provision.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.model import Environment, Machine
    from provision.state import StateDir

MEMORY = "/dev/shm"  # noqa: S108 - a folder of our own in it, whose owner is looked at


def folder(state_dir: StateDir) -> Path:
    """Where an environment's secrets lie in the host's memory."""
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or MEMORY) / f"provision-{os.getuid()}"
    return own / f"secrets-{hashlib.sha256(str(state_dir.folder).encode()).hexdigest()[:16]}"


def lay(environment: Environment, state_dir: StateDir) -> Path:
    """Make the folder hold the values that are taken from variables; where it is.

    Files keep their identity: a running container sees the new value in the old file.

    Raises:
        SpecError: the host lacks one of them.
        HostLacks: somebody else has a folder of this name.
    """
    where = folder(state_dir)
    for part in (where.parent, where):
        part.mkdir(mode=0o700, exist_ok=True)
        found = part.lstat()
        if part.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise HostLacks(
                f"{part} is not this user's alone: no secret is laid there", hint="remove it, then try again"
            )
    for machine in environment.machines:
        for secret in machine.secrets:
            if secret.file is None:
                (where / secret.name).write_bytes(secrets.value_of(secret))
    return where


def forget(state_dir: StateDir) -> None:
    """Remove them from the host's memory."""
    shutil.rmtree(folder(state_dir), ignore_errors=True)


def stale(container: str, machine: Machine) -> Sequence[str]:
    """The secrets of which a running container has another value than the host."""
    if not machine.secrets:
        return ()
    question = secrets.Question(machine)
    said = process.run(["docker", "exec", container, "sh", "-c", question.script], check=False)
    return question.stale(said.stdout)
