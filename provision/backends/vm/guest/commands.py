"""A running machine from inside: what it says, its services' lines, the way in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from provision import process
from provision.backends.journal import read_journal
from provision.backends.log_view import ALL, LogView
from provision.backends.vm.driver import HasGuestConsole
from provision.backends.vm.guest import ssh
from provision.target import Output, Target, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provision.backends.vm.driver import Driver
    from provision.backends.vm.records import MachineRecord
    from provision.state import StateDir

ANSWERS_WITHIN = 60.0  # seconds
SAYS_WITHIN = 2.0  # seconds for one that is only looked at, or is to be ended
HANDSHAKE = 3.0  # seconds that ssh may take to get in, emulated
UNREACHABLE = 255  # ssh's own exit code


def ask(
    driver: Driver,
    state_dir: StateDir,
    machine: str,
    script: str,
    *,
    timeout: float = ANSWERS_WITHIN,
    answers_within: float | None = None,
) -> Output:
    """Run text for `sh` in a machine as root, by the quickest way there is.

    `timeout` bounds all of it, `answers_within` the time until the machine has taken it;
    over ssh, where that cannot be told apart, a handshake is allowed for.

    Raises:
        Unreachable: the machine does not answer.
    """
    if isinstance(driver, HasGuestConsole):
        return driver.guest_console(state_dir, machine).run(
            script, timeout=timeout, answers_within=answers_within
        )
    if answers_within is not None:
        timeout = min(timeout, answers_within + HANDSHAKE)
    try:
        words = ssh.command(state_dir, machine, ["sh", "-c", script])
        ended = process.run(words, check=False, timeout=timeout)
    except process.CommandFailed as error:
        raise Unreachable(f"machine {machine} does not answer", evidence=error.evidence) from error
    if ended.code == UNREACHABLE:
        raise Unreachable(f"machine {machine} does not answer")
    return Output(code=ended.code, stdout=ended.stdout.encode(), stderr=ended.stderr.encode())


def answers(driver: Driver, state_dir: StateDir, machine: str) -> bool:
    """Whether a machine takes a command, soon."""
    try:
        return ask(driver, state_dir, machine, "true", answers_within=SAYS_WITHIN).code == 0
    except Unreachable:
        return False


def enter(state_dir: StateDir, machine: str, known: MachineRecord) -> Target:
    """The machine as the user, and in the folder, that it was brought up with."""
    return Target(
        machine,
        partial(ssh.command_as, state_dir, machine),
        user=known.user,
        workdir=known.workdir,
        ports=known.ports,
    )


def read_lines(
    state_dir: StateDir,
    machine: str,
    services: Sequence[str],
    each_line: Callable[[str], None],
    *,
    view: LogView = ALL,
    labelled: bool = False,
) -> None:
    """Pass on what services have said since the machine's last boot."""
    way = partial(ssh.command, state_dir, machine)
    read_journal(way, services, each_line, view=view, labelled=labelled)
