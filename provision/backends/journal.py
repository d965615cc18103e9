"""The output of services under systemd: its journal, sorted by service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from provision import process
from provision.backends.log_view import ALL, LogView, stamped
from provision.model import SETUP
from provision.recipe.systemd import identifier_of, service_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def read_journal(
    enter: Callable[[Sequence[str]], Sequence[str]],
    services: Sequence[str],
    each_line: Callable[[str], None],
    *,
    view: LogView = ALL,
    labelled: bool = False,
) -> None:
    """Pass on what services wrote since the last boot, with the service's name if `labelled`.

    Args:
        enter: makes of words the host's command that runs them in the machine as root.
        services: whose lines are wanted; setup is one too.
        each_line: takes each.
        view: which lines of them, and how they are shown.
        labelled: each line carries its service's name; setup's always do.
    """
    identifiers = [f"--identifier={identifier_of(service)}" for service in services]
    words = ["journalctl", "--boot", "--no-pager", "--quiet", "--output=json",
             f"--lines={'all' if view.tail is None else view.tail}",
             *([] if view.since is None else [f"--since=@{view.since:.6f}"]),
             *identifiers, *(["--follow"] if view.follow else [])]  # fmt: skip

    def each_entry(text: str) -> None:
        try:
            entry = json.loads(text)
        except ValueError:
            return  # the words of whoever could not get in: the command fails, and has them
        message = entry.get("MESSAGE") or ""
        if isinstance(message, list):  # bytes that are no UTF-8
            message = bytes(message).decode("utf-8", "replace")
        service = service_of(entry.get("SYSLOG_IDENTIFIER", ""))
        label = service if labelled else ""
        if service == SETUP:  # its lines carry their name already
            label, message = SETUP, message.removeprefix(f"{SETUP} | ")
        each_line(stamped(message, label, int(entry.get("__REALTIME_TIMESTAMP", 0)), view))

    process.stream(enter(words), each_entry)
