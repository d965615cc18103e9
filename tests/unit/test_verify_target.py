"""A target over a local `sh`: what goes in and out of an open shell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from provision.target import Overdue, Target, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.processes


def local(words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
    assert not terminal
    return ["env", f"ASKED_AS={user}", "sh", "-c", 'cd "$0" && exec "$@"', workdir, *words]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with Target("here", local, user="me", workdir=str(tmp_path), ports=()) as target:
        yield target


def test_output_and_code_come_as_they_are(target: Target, tmp_path: Path) -> None:
    output = target.run("pwd; printf 'a\\0b\\n\\n\\377'; echo why >&2; exit 3")
    assert output.code == 3
    assert output.stdout == str(tmp_path).encode() + b"\na\0b\n\n\xff"
    assert output.stderr == b"why\n"


def test_the_shell_stays_open_and_nothing_leaks_between_commands(target: Target) -> None:
    first = target.run("echo $PPID; x=1; cd /; exit 0").stdout
    assert target.run('echo $PPID; [ -z "${x-}" ]').stdout == first
    assert target.run("pwd").stdout != b"/\n"


def test_each_user_has_a_shell_of_its_own(target: Target) -> None:
    assert target.run("echo $ASKED_AS; pwd", user="you").stdout == b"you\n/\n"
    assert target.run("echo $ASKED_AS").stdout == b"me\n"


def test_stdin_is_empty(target: Target) -> None:
    assert target.run("cat; read line || echo end").stdout == b"end\n"


@pytest.mark.parametrize(
    "script", ["if; fi", "echo 'open", ")", "-x", "exit 7", "exec false", "set -e; false"]
)
def test_a_bad_script_ends_alone(target: Target, script: str) -> None:
    assert target.run(script).code != 0
    assert target.run("echo still here").stdout == b"still here\n"


def test_a_script_longer_than_an_argument_may_be(target: Target) -> None:
    text = "it's " * 100_000
    output = target.run("printf %s '" + text.replace("'", "'\\''") + "'")
    assert output.stdout == text.encode()


def test_much_output_is_read_once(target: Target) -> None:
    output = target.run("head -c 50000000 /dev/zero; head -c 50000000 /dev/zero >&2")
    assert (len(output.stdout), len(output.stderr)) == (50_000_000, 50_000_000)


def test_a_command_that_takes_too_long_is_told_from_a_dead_machine(target: Target) -> None:
    with pytest.raises(Overdue, match=r"did not answer within 0\.2 s"):
        target.run("sleep 60", timeout=0.2)
    assert target.run("echo again").stdout == b"again\n"


def test_a_machine_that_cannot_be_entered_says_why() -> None:
    def gone(words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
        return [
            "sh",
            "-c",
            "echo no such machine >&2; exit 1",
            *words,
            user,
            workdir,
            str(terminal),
        ]

    target = Target("far", gone, user="me", workdir="/", ports=())
    target.prepare()
    for _ in range(2):
        with pytest.raises(Unreachable, match="machine far does not answer") as caught:
            target.run("true")
        assert caught.value.evidence == ("no such machine",)


def test_a_machine_that_was_restarted_is_entered_again(target: Target) -> None:
    pid = int(target.run("echo $PPID; exec true").stdout)
    inner = int(target.run("sh -c 'echo $PPID'").stdout)
    assert inner != pid
    shell = target._shells["me"]._child
    shell.kill()
    shell.wait()
    assert target.run("echo back").stdout == b"back\n"


def test_close_leaves_no_process(target: Target) -> None:
    target.run("true")
    shell = target._shells["me"]._child.pid
    target.close()
    with pytest.raises(ProcessLookupError):
        os.kill(shell, 0)
