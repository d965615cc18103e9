"""What a person who waits is told: nothing is silent for long."""

from __future__ import annotations

import io
import re
import time

import click
import pytest

from provision.cli import show, verbose
from provision.progress import Folded, Live, ParallelProgress, Plain


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


class Terminal(io.StringIO):
    """A stream that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [80, 200])
def test_a_terminal_shows_a_row_for_each_of_several_things(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress = Live(stream)
    with progress.step("waiting until they are ready"):
        first, second = ParallelProgress(progress, "web"), ParallelProgress(progress, "database")
        with first.step("ready"), second.step("ready"):
            second.line("service db: starting " + "x" * 300)
            shown = _frame(progress, columns)
        assert len(_frame(progress, columns)) == 1, "what is over has no row"
    assert "waiting until they are ready 0 s" in shown[0]
    assert shown[1].startswith("  web       0 s  ready")
    assert shown[2].startswith("  database  0 s  service db: starting xxx")
    assert shown[2].endswith("…")
    assert all(len(line) < columns for line in shown)


def _frame(progress: Live, columns: int) -> list[str]:
    """What is shown of a step that runs."""
    from rich.console import Console

    running = progress._shown
    assert running is not None
    console = Console(width=columns, height=40)
    return [text.plain for text in running.__rich_console__(console, console.options)]


def folded(*, gitlab: bool) -> list[str]:
    stream = io.StringIO()
    progress = Folded(stream, gitlab=gitlab)
    with progress.step("building"):
        progress.line("::add-mask::everything")
        progress.line("and ##[error] too")
        with progress.wait("a wait within"):
            progress.note("::error::a name of others")
    with pytest.raises(RuntimeError), progress.step("starting"):
        raise RuntimeError
    return stream.getvalue().splitlines()


def test_a_step_is_a_fold_in_the_log_of_github_and_nothing_in_it_is_an_order() -> None:
    said = folded(gitlab=False)
    assert said[:2] == ["::group::… building", "| | ::add-mask::everything"]
    assert said[2:5] == ["| and # #[error] too", "| ::error::a name of others", "::endgroup::"]
    assert said[5].startswith("✓ building (")
    assert said[6:8] == ["::group::… starting", "::endgroup::"]
    assert said[8].startswith("✗ starting (")
    orders = [line for line in said if line.lstrip().startswith("::")]
    assert {line.split("::")[1] for line in orders} == {"group", "endgroup"}


def test_a_step_is_a_section_in_the_log_of_gitlab() -> None:
    said = "\n".join(folded(gitlab=True))
    begun = re.findall(r"section_start:\d+:(\w+)\[collapsed=true\]\r?\n?\x1b\[0K… (\w+)", said)
    assert begun == [("provision_1", "building"), ("provision_2", "starting")]
    assert re.findall(r"section_end:\d+:(\w+)", said) == ["provision_1", "provision_2"]


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({"GITHUB_ACTIONS": "true", "CI": "true"}, "Folded"),
        ({"GITLAB_CI": "true", "CI": "true"}, "Folded"),
        ({"CI": "true"}, "Plain"),
        ({}, "Plain"),
    ],
)
def test_who_reads_decides_how_it_is_shown(
    variables: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "CI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert type(show.progress()).__name__ == kind
    kinds: list[str] = []
    command = verbose.add_option(
        click.Command("verb", callback=lambda: kinds.append(type(show.progress()).__name__))
    )
    command.main(["-q"], standalone_mode=False)
    command.main([], standalone_mode=False)
    assert kinds == ["Silent", kind]
