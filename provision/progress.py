"""Shows steps and durations to a person who waits: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, TextIO, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from rich.console import Console, ConsoleOptions
    from rich.text import Text

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

    Its lines and notes carry its label; a step of its own is a note, said when it ends. Where
    the other progress has rows, it has one for as long as a step of its own goes on.
    """

    def __init__(self, progress: Progress, label: str) -> None:
        super().__init__(progress, label)
        self._depth = 0

    def line(self, text: str) -> None:
        """Show it with the label."""
        if isinstance(self._progress, HasRows):
            self._progress.row(self._label, text)
        else:
            self._progress.line(f"{self._label}: {text}")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Say it with its duration."""
        begun = time.monotonic()
        with self._row(title):
            yield
        self.note(f"{title} ({time.monotonic() - begun:.1f} s)")

    @contextmanager
    def wait(self, title: str) -> Iterator[None]:
        """Show it next to the step that it belongs to."""
        with self._row(title):
            yield

    @contextmanager
    def _row(self, title: str) -> Iterator[None]:
        self.line(title)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0 and isinstance(self._progress, HasRows):
                self._progress.row(self._label, None)


@runtime_checkable
class HasRows(Protocol):
    """A progress that shows several things that go on, each in a row of its own."""

    def row(self, label: str, text: str | None) -> None:
        """Show the last line of one of them; None: it is over."""


class Live:
    """A spinner with the step, its seconds, and the last line of the running command.

    Below it a row for each thing that goes on within the step; one line stays for each step.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, highlight=False)
        self._shown: _Running | None = None

    def note(self, text: str) -> None:
        """Print a line above the spinner."""
        self._console.print(visible(text, lines=True), markup=False)

    def line(self, text: str) -> None:
        """Show the command's last line next to the spinner."""
        if self._shown is not None:
            self._shown.line = visible(text.strip())

    def row(self, label: str, text: str | None) -> None:
        """Show the last line of one of several things."""
        if self._shown is not None:
            self._shown.row(visible(label), None if text is None else visible(text.strip()))

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Spin, then leave the title with its duration."""
        from rich.text import Text

        begun = time.monotonic()
        mark, style = "✗", "red"
        title = visible(title)
        try:
            with self._running(title):
                yield
            mark, style = "✓", "green"
        finally:
            took = f"{time.monotonic() - begun:.1f} s"
            self._console.print(Text.assemble((mark, style), f" {title} ", (took, "dim")))

    @contextmanager
    def wait(self, title: str) -> Iterator[None]:
        """Spin, and leave nothing."""
        if self._shown is not None:  # within a step, which spins already
            self.line(title)
            yield
            return
        with self._running(visible(title)):
            yield

    @contextmanager
    def _running(self, title: str) -> Iterator[None]:
        """Show what runs; a step within another takes its place until it is over."""
        from rich.live import Live as Display

        outer, self._shown = self._shown, _Running(title)
        try:
            if outer is not None:
                outer.within = self._shown
                yield
            else:
                with Display(self._shown, console=self._console, transient=True, refresh_per_second=8):
                    yield
        finally:
            self._shown = outer
            if outer is not None:
                outer.within = None


class _Running:
    """What a step shows while it runs, each line cut to the width of the terminal."""

    def __init__(self, title: str) -> None:
        from rich.spinner import Spinner

        self.line = ""
        self.within: _Running | None = None
        self._title = title
        self._begun = time.monotonic()
        self._spinner = Spinner("dots")
        self._rows: dict[str, tuple[str, float]] = {}

    def row(self, label: str, text: str | None) -> None:
        """Change a row, or take it away."""
        if text is None:
            self._rows.pop(label, None)
        else:
            self._rows[label] = (text, self._rows.get(label, ("", time.monotonic()))[1])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """The lines as they are now."""
        from rich.text import Text

        if self.within is not None:
            yield from self.within.__rich_console__(console, options)
            return
        now = time.monotonic()
        frame = self._spinner.render(now)
        head = Text.assemble(
            frame if isinstance(frame, Text) else "", f" {self._title} ",
            (f"{now - self._begun:.0f} s  {self.line}", "dim"),
        )  # fmt: skip
        rows = list(self._rows.items())
        width = max((len(label) for label, _ in rows), default=0)
        lines = [
            Text.assemble(f"  {label:<{width}}  ", (f"{now - begun:.0f} s  {text}", "dim"))
            for label, (text, begun) in rows[: max(1, options.size.height - 3)]
        ]
        for text in (head, *lines):
            text.truncate(max(1, options.max_width - 1), overflow="ellipsis")
            text.no_wrap = True
            yield text


class Folded(Plain):
    """In a CI log: each outermost step is a fold with all lines of its commands.

    What others wrote is no order to the CI: it is led by a bar, and GitHub's older form is broken.
    """

    def __init__(self, stream: TextIO, *, gitlab: bool, silent_for: float = SILENT_FOR) -> None:
        super().__init__(stream, silent_for=silent_for)
        self._gitlab = gitlab
        self._depth = 0
        self._count = 0

    def note(self, text: str) -> None:
        """Print it, and have nothing in it be an order."""
        super().note(harmless_in_ci(visible(text, lines=True)))

    def line(self, text: str) -> None:
        """In a fold there is room for every line."""
        super().line(text)
        if self._depth and text.strip():
            self._print(f"| {harmless_in_ci(visible(text.rstrip()))}")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Fold what is printed meanwhile, and say the duration below, where everybody sees it."""
        if self._depth:
            with super().step(title):
                yield
            return
        shown = harmless_in_ci(visible(title))
        begun, mark = time.monotonic(), "✗"
        self._depth += 1
        self._count += 1
        name = f"provision_{self._count}"
        self._print(self._begin(name, shown))
        try:
            with self._telling(shown, begun):
                yield
            mark = "✓"
        finally:
            self._depth -= 1
            self._print(self._end(name))
            self._print(f"{mark} {shown} ({time.monotonic() - begun:.1f} s)")

    def _begin(self, name: str, title: str) -> str:
        if self._gitlab:
            return f"\x1b[0Ksection_start:{time.time():.0f}:{name}[collapsed=true]\r\x1b[0K… {title}"
        return f"::group::… {title}"

    def _end(self, name: str) -> str:
        return f"\x1b[0Ksection_end:{time.time():.0f}:{name}\r\x1b[0K" if self._gitlab else "::endgroup::"

    def _print(self, text: str) -> None:
        with suppress(BrokenPipeError):
            print(text, file=self._stream, flush=True)
        self._printed = time.monotonic()


def harmless_in_ci(text: str) -> str:
    """Lines that GitHub Actions takes for no command of a workflow."""
    lines = text.replace("##[", "# #[").split("\n")
    return "\n".join(f"| {line}" if line.lstrip().startswith("::") else line for line in lines)
