"""Which lines of a log are handed on, and how a person reads them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click
import pytest

from provision import process
from provision.backends.container_logs import read_logs
from provision.backends.journal import read_journal
from provision.backends.log_view import LogView
from provision.cli import logs

if TYPE_CHECKING:
    from collections.abc import Callable

# What a container of two services has written; the last two in the same nanosecond.
WRITTEN = [
    ("2026-11-27T00:00:01.000000001Z", "web | one"),
    ("2026-11-27T00:00:02Z", "cache | two"),
    ("2026-11-27T00:00:03.5Z", "setup | three"),
    ("2026-11-27T00:00:04.123456789Z", "web | four"),
    ("2026-11-27T00:00:04.123456789Z", "cache | five | six"),
]
LATER = ("2026-11-27T00:00:05Z", "web | later")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """An engine with these lines, and one more for whoever follows; the words that it got."""
    calls: list[list[str]] = []

    def stream(words: list[str], each_line: Callable[[str], None], **_: Any) -> None:
        calls.append(words)
        lines = [*WRITTEN, LATER] if "--follow" in words else WRITTEN
        since = words[words.index("--since") + 1] if "--since" in words else ""
        for moment, line in lines:
            if not since.endswith("Z") or moment >= since:
                each_line(f"{moment} {line}" if "--timestamps" in words else line)

    monkeypatch.setattr(process, "stream", stream)
    return calls


ALL_LINES = [line for _, line in WRITTEN]


@pytest.mark.parametrize(
    ("view", "wanted", "lines"),
    [
        (LogView(), [], ALL_LINES),
        (LogView(), ["cache"], ["cache | two", "cache | five | six"]),
        (LogView(tail=2), [], ALL_LINES[-2:]),
        (LogView(tail=1), ["web"], ["web | four"]),
        (LogView(tail=0), [], []),
        (LogView(tail=9), ["setup"], ["setup | three"]),
        (LogView(follow=True), ["web"], ["web | one", "web | four", "web | later"]),
        (LogView(follow=True, tail=1), [], ["cache | five | six", "web | later"]),
        (LogView(follow=True, tail=1), ["web"], ["web | four", "web | later"]),
        (LogView(follow=True, tail=0), [], ["web | later"]),
        (LogView(timestamps=True, tail=1), ["web"], ["web | 2026-11-27T00:00:04.123456Z four"]),
        (LogView(timestamps=True), ["setup"], ["setup | 2026-11-27T00:00:03.500000Z three"]),
    ],
)
@pytest.mark.usefixtures("engine")
def test_a_containers_lines(view: LogView, wanted: list[str], lines: list[str]) -> None:
    found: list[str] = []
    read_logs("c", ("web", "cache"), wanted, found.append, view=view)
    assert found == lines


def test_since_is_the_engines_to_judge(engine: list[list[str]]) -> None:
    read_logs("c", ("web",), (), print, view=LogView(since=1764201600.5))
    assert engine == [["docker", "logs", "--since", "1764201600.500000", "c"]]


def test_times_are_not_asked_for_without_need(engine: list[list[str]]) -> None:
    """They would stand within long lines."""
    for view in (LogView(), LogView(tail=3), LogView(follow=True)):
        read_logs("c", ("web",), (), print, view=view)
    assert not any("--timestamps" in words for words in engine)


@pytest.mark.parametrize(
    ("view", "options"),
    [
        (LogView(), ["--lines=all"]),
        (LogView(tail=5), ["--lines=5"]),
        (LogView(since=12.25), ["--lines=all", "--since=@12.250000"]),
        (LogView(follow=True, tail=0), ["--lines=0", "--follow"]),
    ],
)
def test_a_journals_lines(view: LogView, options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(process, "stream", lambda words, _: calls.append(words))
    read_journal(list, ["web"], print, view=view)
    assert [word for word in calls[0] if word.startswith(("--lines", "--since", "--follow"))] == options


@pytest.mark.parametrize(
    ("timestamps", "labelled", "lines"),
    [
        (False, True, ["web | hello", "setup | done"]),
        (False, False, ["hello", "setup | done"]),
        (True, True, ["web | 1970-01-01T00:00:01.500000Z hello", "setup | 1970-01-01T00:00:02.000000Z done"]),
        (True, False, ["1970-01-01T00:00:01.500000Z hello", "setup | 1970-01-01T00:00:02.000000Z done"]),
    ],
)
def test_a_journals_lines_look_as_a_containers(
    timestamps: bool,
    labelled: bool,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = [("provision-service-web", 1_500_000, "hello"), ("provision-setup", 2_000_000, "setup | done")]

    def stream(_: object, each_line: Callable[[str], None]) -> None:
        for identifier, moment, message in entries:
            each_line(
                json.dumps(
                    {"SYSLOG_IDENTIFIER": identifier, "__REALTIME_TIMESTAMP": str(moment), "MESSAGE": message}
                )
            )

    monkeypatch.setattr(process, "stream", stream)
    found: list[str] = []
    view = LogView(timestamps=timestamps)
    read_journal(list, ["web", "setup"], found.append, view=view, labelled=labelled)
    assert found == lines


@pytest.mark.parametrize(("text", "ago"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800)])
def test_since_may_be_how_long_ago(text: str, ago: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    assert logs._moment(None, None, text) == 1_000_000.0 - ago  # type: ignore[arg-type]


def test_since_may_be_a_time() -> None:
    assert logs._moment(None, None, "1970-01-02T00:00:00+00:00") == 86400  # type: ignore[arg-type]
    assert logs._moment(None, None, "1970-01-02T00:00:00Z") == 86400  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "foo", "10", "-5m", "1x"])
def test_another_since_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="neither how long ago"):
        logs._moment(None, None, text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain\ttext", "plain\ttext"),
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m\x1b[0m"),
        ("\x1b[31mred and on", "\x1b[31mred and on\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[2J\x1b[31mx", "\\x1b[2J\x1b[31mx\x1b[0m"),
        ("100 %\r100 %", "100 %\\r100 %"),
    ],
)
def test_a_guest_steers_no_terminal_but_in_colour(line: str, shown: str) -> None:
    assert logs._for_a_terminal(line) == shown
