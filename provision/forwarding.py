"""Ports on another host, here: one ssh in the background forwards those of an environment.

Its control socket is in this user's private folder: who holds that can ask whether it lives, and end it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import process, runtime
from provision.errors import EnvironmentFailed, HostLacks
from provision.hints import command
from provision.quick_dataclasses import dataclass
from provision.ssh_address import ssh_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from provision.state import StateDir

RECORD = "forwards"
WITHIN = 60.0  # seconds, for ssh to log in
# A connection that is gone is noticed after three quarters of a minute, and ends the ssh.
OPTIONS = (
    "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ControlPersist=no",
    "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3", "-o", "ClearAllForwardings=no",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ForwardsRecord:
    """What ssh was told to forward: for each, the word of its option -L."""

    forwards: tuple[str, ...]


def socket_of(state_dir: StateDir) -> Path:
    """The control socket of an environment's ssh; a socket's path has at most 108 bytes."""
    return runtime.sockets() / f"ssh-{state_dir.id}"


def forward(state_dir: StateDir, wanted: Sequence[str]) -> None:
    """Have ssh forward these, each a word of its option -L; nothing is done where one does it already.

    Raises:
        EnvironmentFailed: ssh cannot log in, or a port is taken here.
    """
    record = state_dir.load_sound(RECORD, ForwardsRecord)
    if wanted and not (record and set(wanted) <= set(record.forwards) and _lives(state_dir)):
        _start(state_dir, tuple(dict.fromkeys(wanted)))


def revive(state_dir: StateDir) -> None:
    """Have ssh forward again what it last forwarded, where it has ended since.

    Raises:
        EnvironmentFailed: as `forward`.
    """
    if record := state_dir.load_sound(RECORD, ForwardsRecord):
        forward(state_dir, record.forwards)


def end(state_dir: StateDir) -> None:
    """End the ssh of an environment, if there is one."""
    if not state_dir.address:
        return
    if _lives(state_dir):
        process.run(_control(state_dir, "exit"), check=False, timeout=process.ANSWERS_WITHIN)
    socket_of(state_dir).unlink(missing_ok=True)
    state_dir.forget(RECORD)


def _start(state_dir: StateDir, wanted: tuple[str, ...]) -> None:
    end(state_dir)
    log = state_dir.folder / "ssh.log"
    words = ssh_words(
        state_dir.address, "-f", "-N", "-M", "-S", str(socket_of(state_dir)), "-E", str(log), *OPTIONS,
        *(word for forward in wanted for word in ("-L", forward)),
    )  # fmt: skip
    if words is None:  # then ports were refused
        return
    try:
        process.run(words, timeout=WITHIN)
    except process.CommandFailed as error:
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        raise EnvironmentFailed(
            f"the ports cannot be forwarded from {state_dir.address}",
            evidence=lines or error.evidence,
            hint="ssh must log in there without asking, and forward TCP (AllowTcpForwarding);"
            f" then {command('up')}",
        ) from error
    state_dir.save(RECORD, ForwardsRecord(forwards=wanted))


def _lives(state_dir: StateDir) -> bool:
    if not socket_of(state_dir).exists():
        return False
    try:
        return (
            process.run(_control(state_dir, "check"), check=False, timeout=process.ANSWERS_WITHIN).code == 0
        )
    except (process.CommandFailed, HostLacks):
        return False


def _control(state_dir: StateDir, verb: str) -> list[str]:
    # The host is not looked up for a running ssh, but ssh wants the word.
    return ["ssh", "-S", str(socket_of(state_dir)), "-O", verb, "--", "provision"]
