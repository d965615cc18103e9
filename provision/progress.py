"""Shows steps and durations to a person who waits: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


LONGEST_LINE = 120  # characters of a command's last line, where a step goes on
SILENT_FOR = 5.0  # seconds


# What steers a terminal, or hides or reorders what stands there: control characters of C0 and C1,
# marks of direction, of no width and of lines, tags, halves of characters. A tab does nothing bad.
_STEERING = re.compile(
    "[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f"
    "\\ud800-\\udfff\\ufeff\\ufff9-\\ufffb\\U000e0000-\\U000e0fff]"
)


def visible(text: str, *, lines: bool = False) -> str:
    """Foreign text made safe to print: control characters are shown as escapes.

    Args:
        text: whatever it is: a name, an error, a line that a build wrote.
        lines: it has several lines, whose ends stay.
    """

    def shown(match: re.Match[str]) -> str:
        return match[0] if lines and match[0] == "\n" else match[0].encode("unicode_escape").decode()

    return _STEERING.sub(shown, text)


class Progress(Protocol):
    """Where the verbs report what they do; an argument, never a global."""

    def note(self, text: str) -> None:
        """Say one thing."""

    def line(self, text: str) -> None:
        """Show a line of a running command: live, and gone when its step is done."""

    def step(self, title: str) -> AbstractContextManager[None]:
        """A context that shows `title` while it runs and its duration at the end."""

    def wait(self, title: str) -> AbstractContextManager[None]:
        """Like `step`, for something that is usually quick: then it leaves no line."""


class Silent:
    """Says nothing; for programs and tests."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def line(self, text: str) -> None:
        """Show nothing."""

    @contextmanager
    def step(self, title: str) -> Iterator[None]:  # noqa: ARG002 - the protocol's word
        """Show nothing."""
        yield

    def wait(self, title: str) -> AbstractContextManager[None]:
        """Show nothing."""
        return self.step(title)


class Plain:
    """One line a step when it begins and when it ends; for CI and pipes.

    A step that is silent for longer says every few seconds that it goes on, with the last line
    of what it runs: a log that stands still looks like a hang.
    """

    def __init__(self, stream: TextIO, *, silent_for: float = SILENT_FOR) -> None:
        self._stream = stream
        self._silent_for = silent_for
        self._printed = time.monotonic()
        self._line = ""
        self._open = threading.local()  # the steps of each thread: the innermost one tells

    def note(self, text: str) -> None:
        """Print a line; work goes on where nobody reads it any more."""
        with suppress(BrokenPipeError):
            print(visible(text, lines=True), file=self._stream, flush=True)
        self._printed = time.monotonic()

    def line(self, text: str) -> None:
        """Lines of running commands are in the log; the last one is told where it takes long."""
        shown = visible(text.strip())
        self._line = shown if len(shown) <= LONGEST_LINE else f"{shown[: LONGEST_LINE - 1]}…"

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print the title, and again with its duration."""
        title = visible(title)
        self.note(f"… {title}")
        begun = time.monotonic()
        with self._telling(title, begun):
            yield
        self.note(f"✓ {title} ({time.monotonic() - begun:.1f} s)")

    @contextmanager
    def wait(self, title: str) -> Iterator[None]:
        """Print the title once it takes long, and then its duration."""
        title = visible(title)
        begun = max(time.monotonic(), self._printed)
        self._printed = begun
        with self._telling(title, begun) as told:
            yield
        if told.is_set():
            self.note(f"✓ {title} ({time.monotonic() - begun:.1f} s)")

    @contextmanager
    def _telling(self, title: str, begun: float) -> Iterator[threading.Event]:
        """Say every few seconds that it goes on, unless a step within says more; set once it was said."""
        self._line = ""
        ended, told = threading.Event(), threading.Event()
        steps: list[str] = self._open.__dict__.setdefault("steps", [])
        steps.append(title)
        depth = len(steps)

        def tell() -> None:
            while not ended.wait(self._silent_for / 10):
                if len(steps) == depth and time.monotonic() - self._printed >= self._silent_for:
                    last = f": {self._line}" if self._line else ""
                    told.set()
                    self.note(f"… {title} ({time.monotonic() - begun:.0f} s){last}")

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield told
        finally:
            ended.set()
            teller.join()
            steps.pop()


class Labelled:
    """Another progress, each line of which begins with a label: for several at once."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._label = label

    def note(self, text: str) -> None:
        """Say it with the label."""
        self._progress.note(f"{self._label}: {text}")

    def line(self, text: str) -> None:
        """Lines of several commands at once would tell nobody anything."""

    def step(self, title: str) -> AbstractContextManager[None]:
        """The step with the label."""
        return self._progress.step(f"{self._label}: {title}")

    def wait(self, title: str) -> AbstractContextManager[None]:
        """The same with the label."""
        return self._progress.wait(f"{self._label}: {title}")


class ParallelProgress(Labelled):
    """One of several things that go on at the same time, within a step of another progress.

    Its lines and notes carry its label; a step of its own is a note, said when it ends.
    """

    def line(self, text: str) -> None:
        """Show it with the label."""
        self._progress.line(f"{self._label}: {text}")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Say it with its duration."""
        begun = time.monotonic()
        self.line(title)
        yield
        self.note(f"{title} ({time.monotonic() - begun:.1f} s)")

    @contextmanager
    def wait(self, title: str) -> Iterator[None]:
        """Show it next to the step that it belongs to."""
        self.line(title)
        yield


class Live:
    """A spinner with the last line of the running command; one line stays for each step."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, highlight=False)
        self._status: object | None = None
        self._title = ""

    def note(self, text: str) -> None:
        """Print a line above the spinner."""
        self._console.print(visible(text, lines=True), markup=False)

    def line(self, text: str) -> None:
        """Show the command's last line next to the spinner."""
        if self._status is not None:
            from rich.text import Text

            room = max(20, self._console.width - len(self._title) - 8)
            shown = Text.assemble(self._title, "  ", (visible(text.strip())[:room], "dim"))
            self._status.update(shown)  # type: ignore[attr-defined]

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Spin, then leave the title with its duration."""
        from rich.text import Text

        begun = time.monotonic()
        mark, style = "✗", "red"
        self._title = title = visible(title)
        try:
            with self._console.status(Text(title)) as self._status:
                yield
            mark, style = "✓", "green"
        finally:
            self._status = None
            took = f"{time.monotonic() - begun:.1f} s"
            self._console.print(Text.assemble((mark, style), f" {title} ", (took, "dim")))

    @contextmanager
    def wait(self, title: str) -> Iterator[None]:
        """Spin, and leave nothing."""
        from rich.text import Text

        if self._status is not None:  # within a step, which spins already
            self.line(title)
            yield
            return
        self._title = title = visible(title)
        try:
            with self._console.status(Text(title)) as self._status:
                yield
        finally:
            self._status = None
