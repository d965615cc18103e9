"""provision's own commands in hints: written without the environment, completed where it is known.

Whoever raises an error knows the verb and the machine. The command line knows the spec and
the options that mean the same environment, so it completes each command before it shows it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OF_A_SPEC = (
    "up", "verify", "status", "shell", "exec", "ssh", "ssh-config", "cp", "port", "logs", "restart", "sync",
    "stop", "start", "pause", "unpause", "down", "plan", "render", "validate", "explain", "test", "compare",
    "trust", "diff", "lock", "outdated",
)  # fmt: skip
READING = (
    "up",
    "verify",
    "status",
    "plan",
    "render",
    "validate",
    "explain",
    "test",
    "compare",
    "diff",
    "lock",
    "outdated",
)  # which read the whole spec, so need what it is allowed
MAKING = ("up", "plan", "render", "test")  # which look at the lock
# Those for which -b is no part of what the environment is.
OF_ALL_BACKENDS = ("test", "compare", "trust", "lock", "outdated")
_COMMAND = re.compile(
    rf"`(?P<before>(?:\w+=\S+ )?)provision (?P<verb>{'|'.join(OF_A_SPEC)})(?P<rest>(?: [^`]*)?)`"
)


def command(verb: str, *words: str, machine: str | None = None, variables: str = "") -> str:
    """A command as a hint shows it.

    Args:
        verb: of the command line.
        words: what follows, options first.
        machine: of which machine, where there are several.
        variables: what is set for it, as a shell takes it.
    """
    chosen = ["-m", machine] if machine else []
    return f"`{' '.join([*([variables] if variables else []), 'provision', verb, *chosen, *words])}`"


def complete(text: str, spec: str, options: Mapping[str, Sequence[str]]) -> str:
    """A text whose commands mean one environment, so that each can be pasted.

    Args:
        text: a hint, or any other words of ours.
        spec: the file, as a shell takes it; empty where no command needs it.
        options: the words of each option that says which environment is meant.
    """

    def completed(match: re.Match[str]) -> str:
        verb, rest = match["verb"], match["rest"].split()
        if rest[:1] == ["--help"] or (verb == "down" and rest and not rest[0].startswith("-")):
            return match[0]  # it needs none, or names one itself
        left_out = {*rest, *(("-b",) if verb in OF_ALL_BACKENDS else ())}
        left_out |= {"--allow"} if verb not in READING else set()
        left_out |= {"--host"} if verb == "ssh-config" else set()  # which calls something else so
        left_out |= {"--no-lock"} if verb not in MAKING else set()
        more = [word for option, words in options.items() if option not in left_out for word in words]
        words = [verb, *([spec] if spec else []), *more, *rest]
        return f"`{match['before']}provision {' '.join(words)}`"

    return _COMMAND.sub(completed, text)
