"""What is said after an `up` that failed or was interrupted: what is left, how to look inside and go on."""

from __future__ import annotations

import errno
import signal
import threading
from typing import TYPE_CHECKING, Any

import click
import pytest

from provision import __main__, aftermath
from provision.errors import EnvironmentFailed, Interrupted
from provision.process import CommandFailed, was_interrupted

if TYPE_CHECKING:
    from provision.model import MachineState

pytestmark = pytest.mark.usefixtures("no_processes")
UP = "`provision up` goes on from there"


@pytest.mark.parametrize(
    ("machines", "said"),
    [
        (
            None,
            f"what is left was not found out in time; `provision status` tells, {UP}",
        ),
        ({}, "no machine is there; `provision up` goes on from what was built"),
        ({"dev": "running"}, f"dev is running; {UP}, `provision down` removes the machines"),
        (
            {"db": "running", "web": "stopped"},
            f"db is running, web is stopped; {UP}, `provision down` removes the machines",
        ),
    ],
)
def test_what_an_interrupt_leaves(machines: dict[str, MachineState] | None, said: str) -> None:
    assert aftermath.left(machines) == said


def test_who_wants_to_leave_is_not_kept_by_an_engine_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()

    def machines_of(*_: object) -> dict[str, MachineState]:
        answers.wait(60)
        return {"dev": "running"}

    monkeypatch.setattr(aftermath, "machines_of", machines_of)
    nothing: Any = None
    assert aftermath.machines_soon(nothing, "docker", 0.1) is None
    answers.set()
    assert aftermath.machines_soon(nothing, "docker", 60) == {"dev": "running"}


@pytest.mark.parametrize(
    ("machines", "failed", "several", "hint", "said"),
    [
        ({}, "", False, "", UP),
        ({}, "dev", False, "see it", f"see it; {UP}"),
        ({"dev": "running"}, "dev", False, "see it", f"see it; `provision shell` looks inside; {UP}"),
        ({"dev": "unhealthy"}, "dev", False, "", f"`provision shell` looks inside; {UP}"),
        ({"dev": "stopped"}, "dev", False, "see it", f"see it; {UP}"),
        ({"dev": "running"}, "", False, "", f"`provision shell` looks inside; {UP}"),
        (
            {"db": "running", "web": "running"}, "web", True, "then run `provision up` again",
            "then run `provision up` again; `provision shell -m web` looks inside",
        ),
        ({"db": "running", "web": "stopped"}, "web", True, "", UP),
        (
            {"db": "running", "web": "running"}, "", True, "`provision up --rebuild` recreates it",
            "`provision up --rebuild` recreates it; `provision shell -m db` looks inside",
        ),
    ],
)  # fmt: skip
def test_how_to_look_inside_and_go_on(
    machines: dict[str, MachineState], failed: str, several: bool, hint: str, said: str
) -> None:
    assert aftermath.way_on(hint, machines, failed, several=several) == said


@pytest.mark.parametrize(
    ("code", "output", "interrupted"),
    [
        (130, "", True),
        (-2, "", True),
        (1, "#5 CANCELED\nERROR: failed to solve: Canceled: context canceled", True),
        (1, "Canceled: context canceled\nerror: something else", False),
        (1, "", False),
        (137, "killed", False),
    ],
)
def test_which_commands_ended_for_an_interrupt(code: int, output: str, interrupted: bool) -> None:
    assert was_interrupted(CommandFailed(["docker"], code, output)) == interrupted


@pytest.mark.parametrize(
    "error",
    [
        EnvironmentFailed("the command failed"),
        RuntimeError("Error calling __set_name__ on 'Field' instance"),
        OSError(errno.ENOSPC, "full"),
        click.ClickException("no"),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_fails_because_of_a_signal_was_interrupted(
    number: signal.Signals,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A command in another thread ends for it, or Python wraps it: that error comes instead."""

    def fail(**_options: object) -> None:
        with pytest.raises((KeyboardInterrupt, Interrupted)):
            __main__._interrupt(number, None)
        raise error

    monkeypatch.setattr("provision.cli.commands.main", fail)
    monkeypatch.setattr(__main__, "_handle_signals", lambda: None)
    monkeypatch.setattr(__main__, "_ignore_signals", lambda: None)
    monkeypatch.setattr(__main__._Received, "signal", 0)
    assert __main__._run() == 128 + number
    assert capsys.readouterr().err == "interrupted\n"


def test_an_error_of_ours_without_a_signal_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_options: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("provision.cli.commands.main", fail)
    monkeypatch.setattr(__main__, "_handle_signals", lambda: None)
    monkeypatch.setattr(__main__._Received, "signal", 0)
    with pytest.raises(RuntimeError, match="a bug"):
        __main__._run()
