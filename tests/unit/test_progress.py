"""What a person who waits is told: nothing is silent for long."""

from __future__ import annotations

import io
import time

from provision.progress import Plain


def test_a_step_that_takes_long_says_what_it_does() -> None:
    stream = io.StringIO()
    progress = Plain(stream, silent_for=0.05)
    with progress.step("booting"):
        progress.line("[    0.000000] Linux version 6.1\n")
        deadline = time.monotonic() + 30
        while stream.getvalue().count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    first, *told, last = stream.getvalue().splitlines()
    assert first == "… booting"
    assert told
    assert all(line == "… booting (0 s): [    0.000000] Linux version 6.1" for line in told[:1])
    assert last.startswith("✓ booting (")


def test_a_step_that_is_over_soon_says_nothing_between() -> None:
    stream = io.StringIO()
    with Plain(stream).step("removing"):
        pass
    assert [line.partition(" (")[0] for line in stream.getvalue().splitlines()] == [
        "… removing",
        "✓ removing",
    ]


def waited(seconds: float) -> list[str]:
    stream = io.StringIO()
    with Plain(stream, silent_for=0.05).wait("verifying dev"):
        deadline = time.monotonic() + seconds
        while not stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    return [line.partition(" (")[0] for line in stream.getvalue().splitlines()]


def test_a_wait_is_told_only_where_it_takes_long() -> None:
    assert waited(0) == []
    told = waited(30)
    assert told[0] == "… verifying dev"
    assert told[-1] == "✓ verifying dev"


def test_of_steps_within_each_other_the_innermost_tells() -> None:
    stream = io.StringIO()
    progress = Plain(stream, silent_for=0.05)
    with progress.step("outer"), progress.wait("inner"):
        deadline = time.monotonic() + 30
        while stream.getvalue().count("inner") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    said = [line.partition(" (")[0] for line in stream.getvalue().splitlines()]
    assert said[0] == "… outer"
    assert said[-1] == "✓ outer"
    assert set(said[1:-1]) == {"… inner", "✓ inner"}
