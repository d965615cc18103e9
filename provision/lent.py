"""What a user lends a running machine: their name for git, and their SSH agent."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from provision import guest_paths, process
from provision.rendering import gitconfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provision.model import Environment, Machine

VARIABLE = "SSH_AUTH_SOCK"
SOCKET = guest_paths.AGENT_SOCKET  # of the agent inside


def identity(machine: Machine) -> str:
    """A configuration for git with the person's `user.name` and `user.email` for the workspace.

    Empty where the machine is not to have it, and where this host has no git or no such values.
    """
    workspace = machine.workspace
    if workspace is None or not workspace.identity:
        return ""
    lines = [f"\t{key} = {gitconfig(value)}\n" for key, value in _named(workspace.source).items()]
    return "[user]\n" + "".join(lines) if lines else ""


def as_variables(folder: Path) -> Mapping[str, str]:
    """Variables by which git on another host gives the name and address that it gives in this folder."""
    named = _named(folder)
    variables = {"GIT_CONFIG_COUNT": str(len(named))} if named else {}
    for number, (key, value) in enumerate(named.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": f"user.{key}", f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _named(folder: Path) -> Mapping[str, str]:
    """The person's name and address, by git's keys; those that git knows."""
    if process.find("git") is None:
        return {}
    found = {key: _asked(folder, f"user.{key}") for key in ("name", "email")}
    return {key: value for key, value in found.items() if value}


def _asked(folder: Path, key: str) -> str:
    """A value of git's; the person's own where the folder is a repository that git does not take."""
    completed = process.run(["git", "-C", str(folder), "config", "--get", key], check=False)
    return completed.stdout.rstrip("\n") if completed.code == 0 else ""


def agent() -> Path | None:
    """The socket of the person's SSH agent, where there is one."""
    named = os.environ.get(VARIABLE)
    try:
        return Path(named) if named and stat.S_ISSOCK(os.stat(named).st_mode) else None  # noqa: PTH116 - Path.stat is no shorter
    except OSError:
        return None


def notes(environment: Environment) -> Iterator[str]:
    """What of it is not there, and why git does not work in a workspace; a sentence each."""
    machines = [machine for machine in environment.machines if machine.workspace]
    yield from dict.fromkeys(m.workspace.note for m in machines if m.workspace and m.workspace.note)
    if agent() is None and any(m.workspace and m.workspace.agent for m in machines):
        yield (
            f"there is no SSH agent on this host (${VARIABLE}), so there is none inside:"
            ' eval "$(ssh-agent)" && ssh-add starts one'
        )
    named = [m for m in machines if m.workspace and m.workspace.identity]
    if named and not identity(named[0]):
        yield (
            "git has no user.name and user.email on this host, so there is none inside:"
            " git config --global user.name NAME"
        )
    for machine in machines:
        if any(file.path == "/etc/gitconfig" for file in machine.files):
            yield (
                f"{machine.name} has its own /etc/gitconfig: add [include] path = {guest_paths.GITCONFIG}"
                " to it, so that git accepts the workspace whoever owns it"
            )
