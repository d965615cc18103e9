"""What ssh is told to reach a machine: as text for its configuration, and as options; pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from provision.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def options(proxy: Sequence[str], *, user: str, unique: str) -> Mapping[str, str]:
    """The options of ssh, by name.

    Args:
        proxy: the words that start the server for this machine.
        user: who commands run as, unless ssh is told another.
        unique: what tells the machine from all others.

    Raises:
        UsageError: a line break in the words: ssh's configuration has no word for it.
    """
    if any("\n" in word for word in proxy):
        raise UsageError("ssh cannot be told of a path with a line break in it")
    return {
        "HostName": unique,
        "User": user,
        "ProxyCommand": shlex.join(proxy).replace("%", "%%"),
        # The other end is a process of this user's, over a pipe: there is nothing to authenticate.
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "GlobalKnownHostsFile": "/dev/null",
        "PubkeyAuthentication": "no",
        "PasswordAuthentication": "no",
        "LogLevel": "ERROR",
    }


def block(host: str, chosen: Mapping[str, str]) -> str:
    """A section of ssh's configuration."""
    return "\n".join([f"Host {host}", *(f"  {name} {value}" for name, value in chosen.items())])


def command(host: str, chosen: Mapping[str, str], words: Sequence[str]) -> list[str]:
    """The words of a call of ssh that reads no configuration of the user's or the host's."""
    given = [word for name, value in chosen.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "none", *given, host, *words]
