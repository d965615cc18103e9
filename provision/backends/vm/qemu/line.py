"""The line into a machine: a shell of root's on a virtual console, which no network reaches.

It answers in a fortieth of a second where an ssh handshake takes one and a half, from the
moment that the init has begun, and at once in a machine that came back from memory.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import time
from typing import TYPE_CHECKING

from provision.target import Output, Overdue, Unreachable

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 65536
HINT = "`provision up` starts it again where it has ended, and boots it where it hangs"


class Line:
    """The line of one machine; `machine` is for messages alone.

    QEMU lets one caller speak at a time, so a call lasts as long as its command.
    """

    def __init__(self, path: Path, machine: str) -> None:
        self._path = path
        self._machine = machine

    def run(self, script: str, *, user: str | None = None, timeout: float = 60) -> Output:  # noqa: ARG002 - always root
        """Run text for `bash` as root and wait for its end; what it says on stderr is among its stdout.

        Raises:
            Unreachable: the machine is not there, or ended.
            Overdue: it did not answer within `timeout` seconds.
        """
        mark = os.urandom(8).hex()
        # The mark is written in two halves: a terminal that still echoes does not show it whole.
        halves = f"{mark[:8]}''{mark[8:]}"
        text = (
            f"\nprintf '%s\\n' {halves}; (eval {shlex.quote(' ' + script)}) </dev/null 2>&1;"
            f" printf '\\n%s %d\\n' {halves} $?\n"
        )
        answer = re.compile(rb"%b\r?\n(.*)\n%b (\d+)\r?\n" % (mark.encode(), mark.encode()), re.DOTALL)
        deadline = time.monotonic() + timeout
        received = b""
        with socket.socket(socket.AF_UNIX) as call:
            try:
                call.settimeout(timeout)
                call.connect(str(self._path))
                call.sendall(text.encode())
                while (found := answer.search(received)) is None:
                    call.settimeout(max(0.01, deadline - time.monotonic()))
                    data = call.recv(CHUNK)
                    if not data:
                        raise Unreachable(f"machine {self._machine} ended", hint=HINT)
                    received += data
            except TimeoutError as error:
                raise Overdue(
                    f"machine {self._machine} gave no answer within {timeout:g} s", hint=HINT
                ) from error
            except OSError as error:
                raise Unreachable(
                    f"machine {self._machine} does not answer", evidence=[str(error)], hint=HINT
                ) from error
        return Output(code=int(found[2]), stdout=found[1], stderr=b"")
