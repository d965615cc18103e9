"""The line into a machine: a shell of root's on a virtual console, which no network reaches.

It answers in a fortieth of a second where an ssh handshake takes one and a half, from the
moment that the init has begun, and at once in a machine that resumed from a saved state.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import time
from typing import TYPE_CHECKING

from provision.hints import command
from provision.target import Output, Overdue, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHUNK = 65536
POLL = 0.25  # seconds
HINT = f"{command('up')} starts it again if it has ended, and reboots it if it hangs"


class GuestConsole:
    """The line of one machine; `machine` is for messages alone.

    QEMU lets one caller speak at a time, so a call lasts as long as its command.
    """

    def __init__(self, path: Path, machine: str) -> None:
        self._path = path
        self._machine = machine

    def run(
        self,
        script: str,
        *,
        user: str | None = None,  # noqa: ARG002 - always root
        timeout: float = 60,
        answers_within: float | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Output:
        """Run text for `bash` as root and wait for its end; its stderr is part of its stdout.

        Args:
            script: the text.
            user: root, whoever is named.
            timeout: seconds until the command must have ended.
            answers_within: seconds until the machine must have taken the command; `timeout` unless given.
            meanwhile: called a few times a second while it waits; what it raises ends the wait.

        Raises:
            Unreachable: the machine is not there, or ended.
            Overdue: it did not answer within its time.
        """
        mark = os.urandom(8).hex()
        # The mark is written in two halves: a terminal that still echoes does not show it whole.
        halves = f"{mark[:8]}''{mark[8:]}"
        text = (
            f"\nprintf '%s\\n' {halves}; (eval {shlex.quote(' ' + script)}) </dev/null 2>&1;"
            f" printf '\\n%s %d\\n' {halves} $?\n"
        )
        begun = time.monotonic()
        with socket.socket(socket.AF_UNIX) as call:
            try:
                call.settimeout(timeout if answers_within is None else answers_within)
                call.connect(str(self._path))
                call.sendall(text.encode())
                match = self._answer(call, mark.encode(), timeout, answers_within, meanwhile)
            except TimeoutError as error:
                raise Overdue(
                    f"machine {self._machine} did not answer within {time.monotonic() - begun:.0f} s",
                    hint=HINT,
                ) from error
            except OSError as error:
                raise Unreachable(
                    f"machine {self._machine} does not answer", evidence=[str(error)], hint=HINT
                ) from error
        return Output(code=int(match[2]), stdout=match[1], stderr=b"")

    def _answer(
        self,
        call: socket.socket,
        mark: bytes,
        timeout: float,
        answers_within: float | None,
        meanwhile: Callable[[], None],
    ) -> re.Match[bytes]:
        """What stands between the marks, and the code behind the second; TimeoutError where it is late."""
        taken = re.compile(rb"%b\r?\n" % mark)
        answer = re.compile(rb"%b\r?\n(.*)\n%b (\d+)\r?\n" % (mark, mark), re.DOTALL)
        begun = time.monotonic()
        received = b""
        while (match := answer.search(received)) is None:
            late = timeout if answers_within is None or taken.search(received) else answers_within
            left = begun + late - time.monotonic()
            if left <= 0:
                raise TimeoutError
            call.settimeout(min(left, POLL))
            try:
                data = call.recv(CHUNK)
            except TimeoutError:
                meanwhile()
                continue
            if not data:
                raise Unreachable(f"machine {self._machine} ended", hint=HINT)
            received += data
        return match
