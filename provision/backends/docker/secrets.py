"""Delivers secrets to containers: through the host's memory, where Compose finds them.

A secret of a file is that file. One of a variable, or of a file that a machine could replace
by a link, is written to a folder in memory that nobody else may enter, so that a container that
is started again has it again.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from provision import guest_paths, process, runtime, secrets
from provision.backends.docker.render import (
    SECRETS,
    certificate_name,
    is_laid,
    secret_files,
    secret_variable,
)
from provision.docker_client import commands
from provision.errors import HostLacks
from provision.records import require_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provision.model import Environment, Machine
    from provision.state import StateDir


# Whoever waits for the file finds all of it.
RECEIVE = f"""umask 077
cd {guest_paths.RUN} && mkdir -p "${{1%/*}}" && cat >"$1.new" && mv -f "$1.new" "$1"
"""


def folder(state_dir: StateDir) -> Path:
    """The folder of an environment's secrets in the host's memory."""
    return runtime.memory() / f"secrets-{state_dir.unique_name}"


def lay(environment: Environment, state_dir: StateDir) -> Mapping[str, str]:
    """Write the values that the engine cannot read itself to the folder; return the variables that say so.

    Files keep their identity: a running container sees the new value in the old file.

    Raises:
        SpecError: the host lacks one of them.
        HostLacks: somebody else has a folder of this name.
    """
    where = runtime.private(folder(state_dir))
    laid = {name: file for name, file in secret_files(environment).items() if is_laid(file, environment)}
    for machine in environment.machines:
        for secret in machine.secrets:
            if secret.name in laid:
                require_name(secret.name, "the secret")
                (where / secret.name).write_bytes(secrets.value_of(secret))
    return {SECRETS: str(where)} | {
        secret_variable(name): str(where / name) for name, file in laid.items() if file is not None
    }


def forget(state_dir: StateDir) -> None:
    """Remove them from the host's memory."""
    with suppress(HostLacks):  # then there can be nothing to remove
        shutil.rmtree(folder(state_dir), ignore_errors=True)


def deliver(container: str, environment: Environment, machine: Machine) -> None:
    """Write what the engine cannot mount into the memory of a running container, which waits for it.

    Raises:
        CommandFailed: the container does not run.
        SpecError: the host lacks a secret.
    """
    contents = {f"secrets/{secret.name}": secrets.value_of(secret) for secret in machine.secrets}
    if certificate_name(environment, machine) and machine.proxy and machine.proxy.ca:
        contents["proxy/ca.crt"] = machine.proxy.ca
    for path, content in contents.items():
        words = commands.exec_words(
            container, ["sh", "-c", RECEIVE, "sh", path], user="root", interactive=True
        )
        process.run(words, stdin=content)


def stale(container: str, machine: Machine) -> Sequence[str]:
    """The secrets whose value in a running container differs from the host's."""
    if not machine.secrets:
        return ()
    question = secrets.Question(machine)
    return question.stale(commands.execute(container, ["sh", "-c", question.script]).stdout)
