"""The output of services under systemd: its journal, sorted by service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from provision import process
from provision.model import SETUP
from provision.recipe.systemd import identifier_of, service_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def read_journal(
    enter: Callable[[Sequence[str]], Sequence[str]],
    services: Sequence[str],
    each_line: Callable[[str], None],
    *,
    follow: bool,
    labelled: bool = False,
) -> None:
    """Hand on what services wrote since the last boot; with its service's name where labelled.

    Args:
        enter: makes of words the host's command that runs them in the machine as root.
        services: whose lines are wanted; setup is one too.
        each_line: takes each.
        follow: go on with the lines to come.
        labelled: each line carries its service's name; setup's always do.
    """
    identifiers = [f"--identifier={identifier_of(service)}" for service in services]
    words = ["journalctl", "--boot", "--no-pager", "--quiet", "--output=json", "--lines=all",
             *identifiers, *(["--follow"] if follow else [])]  # fmt: skip

    def each_entry(text: str) -> None:
        try:
            entry = json.loads(text)
        except ValueError:
            return  # the words of whoever could not get in: the command fails, and has them
        message = entry.get("MESSAGE") or ""
        if isinstance(message, list):  # bytes that are no UTF-8
            message = bytes(message).decode("utf-8", "replace")
        service = service_of(entry.get("SYSLOG_IDENTIFIER", ""))
        each_line(f"{service} | {message}" if labelled and service != SETUP else message)

    process.stream(enter(words), each_entry)
