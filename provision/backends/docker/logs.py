"""A container's output, sorted by service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import process
from provision.backends.journal import read_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def read_logs(
    container: str,
    known: Sequence[str],
    wanted: Iterable[str],
    each_line: Callable[[str], None],
    *,
    follow: bool,
    journal: bool = False,
) -> None:
    """Hand on the lines of the wanted services; all of them where none is named.

    Among several services each line carries its service's name; alone, a service's
    lines are as it wrote them. Setup's always carry theirs. With `journal`, systemd has them.
    """
    if journal:
        services = [*wanted] or [*known, "setup"]
        read_journal(
            lambda words: ["docker", "exec", container, *words],
            services,
            each_line,
            follow=follow,
            labelled=len(known) > 1,
        )
        return
    chosen = set(wanted)

    def sort_out(line: str) -> None:
        label, found, _ = line.partition(" | ")
        service = label if found and label in (*known, "setup") else (known[0] if known else "")
        if not chosen or service in chosen:
            each_line(line)

    process.stream(["docker", "logs", *(["--follow"] if follow else []), container], sort_out)
