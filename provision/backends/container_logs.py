"""A container's output, sorted by service."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from provision import process
from provision.backends.journal import read_journal
from provision.backends.log_view import ALL, LogView, stamped
from provision.docker_client import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def read_logs(
    container: str,
    known: Sequence[str],
    wanted: Iterable[str],
    each_line: Callable[[str], None],
    *,
    view: LogView = ALL,
    journal: bool = False,
    logs_words: Callable[[Sequence[str]], list[str]] | None = None,
) -> None:
    """Pass on the lines of the wanted services, or of all if none is named.

    Among several services each line carries its service's name; alone, a service's
    lines are as it wrote them. Setup's always carry theirs. With `journal`, systemd has them. `logs_words`
    gives the command that prints the output, with such options, where it is not `docker logs`.
    """
    if journal:
        services = [*wanted] or [*known, "setup"]
        read_journal(
            lambda words: commands.exec_words(container, words),
            services,
            each_line,
            view=view,
            labelled=len(known) > 1,
        )
        return
    print_words = logs_words or partial(commands.logs_words, container)
    # The engine also puts its times inside lines longer than 16 KiB, so request them only if needed.
    timed = view.timestamps or (view.follow and view.tail is not None)
    reader = _Reader(known, set(wanted), each_line, view, timed=timed)
    options = ["--timestamps"] if timed else []
    since = [] if view.since is None else ["--since", f"{view.since:.6f}"]
    if view.tail is not None:
        # The engine counts the lines of all services: those that are wanted are counted here.
        reader.hold_back(view.tail)
        process.stream(print_words([*options, *since]), reader.take)
        reader.release()
        if not view.follow:
            return
        since = ["--since", reader.last] if reader.last else since
    options += [*since, *(["--follow"] if view.follow else [])]
    process.stream(print_words(options), reader.take)


class _Reader:
    """Takes the engine's lines, `timed` or not, and hands on those that are wanted."""

    def __init__(
        self,
        known: Sequence[str],
        chosen: set[str],
        each_line: Callable[[str], None],
        view: LogView,
        *,
        timed: bool,
    ) -> None:
        self._known = known
        self._chosen = chosen
        self._each_line = each_line
        self._view = view
        self._timed = timed
        self._held: deque[str] | None = None
        self.last = ""
        """The time of the last line that was taken, as the engine writes it."""
        self._seen: list[str] = []  # the lines of that very time: the engine gives them once more
        self._again: list[str] = []

    def hold_back(self, most: int) -> None:
        """Keep only the last lines, until they are released."""
        self._held = deque(maxlen=most)

    def release(self) -> None:
        """Pass on what was kept, and from now on each line as it comes."""
        for line in self._held or ():
            self._each_line(line)
        self._held, self._again = None, self._seen

    def take(self, raw: str) -> None:
        """Take one line of the engine's."""
        if raw in self._again:
            self._again.remove(raw)
            return
        time, _, line = raw.partition(" ") if self._timed else ("", "", raw)
        moment = _microseconds(time) if self._timed else 0
        if moment is None:  # the engine's own words
            self._hand_on(raw)
            return
        if self._timed:
            self._seen = [*self._seen, raw] if time == self.last else [raw]
            self.last = time
        label, separator, rest = line.partition(" | ")
        labelled = bool(separator) and label in (*self._known, "setup")
        service = label if labelled else (self._known[0] if self._known else "")
        if not self._chosen or service in self._chosen:
            text = rest if labelled else line
            self._hand_on(stamped(text, label if labelled else "", moment, self._view))

    def _hand_on(self, line: str) -> None:
        if self._held is None:
            self._each_line(line)
        else:
            self._held.append(line)


def _microseconds(time: str) -> int | None:
    """Parse a time as the engine writes it, with nanoseconds; None if it isn't one."""
    whole, dot, fraction = time.removesuffix("Z").partition(".")
    if not time.endswith("Z") or not (fraction or "0").isdigit() or bool(dot) != bool(fraction):
        return None
    try:
        seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
    except ValueError:
        return None
    return int(seconds) * 1_000_000 + int(f"{fraction:0<6}"[:6])
