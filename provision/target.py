"""A running machine and the way to run commands in it: the link between backends and checks.

A backend only says how to enter its machine (`docker exec …`, `ssh …`). One shell per
user is started that way and kept open, so a command costs a fork inside the machine
and no handshake.
"""

from __future__ import annotations

import os
import re
import selectors
import shlex
import time
from typing import IO, TYPE_CHECKING, Protocol, Self

from provision import log, process
from provision.errors import EnvironmentFailed
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from subprocess import Popen
    from types import TracebackType

    from provision.model import PortStatus

CHUNK = 65536
LAST_LINES = 5
LAST_WORDS = 1.0  # seconds to hear why, after the machine hung up

# Bytes both ways: bash opens sockets itself; where there is none, busybox brings nc.
# It ends when the server hangs up, and when we do.
CONNECT = """
command -v bash >/dev/null || exec nc "$1" "$2"
exec bash -c 'exec 3<>"/dev/tcp/$1/$2" 4<&0 || exit 7
  { cat <&4 >&3; kill $$; } >/dev/null 2>&1 &
  exec cat <&3' bash "$1" "$2"
"""
LOGIN_SHELL = 'shell=$(getent passwd "$(id -un)" | cut -d: -f7); exec "${shell:-/bin/sh}" -l'


class Unreachable(EnvironmentFailed):
    """The machine does not answer; it is never treated as an empty machine."""


class Overdue(Unreachable):
    """A command inside did not finish in time; the machine itself may still answer."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """The result of a command inside the machine; output as bytes."""

    code: int
    stdout: bytes
    stderr: bytes


class Enter(Protocol):
    """How to start a command inside a machine: the words to run on the host."""

    def __call__(self, words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
        """The host's command that runs `words` inside as `user` in `workdir`.

        Its stdin, stdout, stderr and exit code are those of `words`; with `terminal` it
        has one. The environment's variables are set.
        """


class Target:
    """A running machine.

    Args:
        machine: its name.
        enter: how to start a command in it.
        user: who commands are run as, unless they say otherwise.
        workdir: where.
        ports: as they are published now.
    """

    def __init__(
        self, machine: str, enter: Enter, *, user: str, workdir: str, ports: Sequence[PortStatus]
    ) -> None:
        self.machine = machine
        self.enter = enter
        self.user = user
        self.workdir = workdir
        self.ports = tuple(ports)
        self._shells: dict[str, _Shell] = {}

    def prepare(self, *users: str) -> None:
        """Begin to open the shells of these users, so that the first `run` need not wait."""
        for who in users or (self.user,):
            self._shell(who)

    def run(self, script: str, *, user: str | None = None, timeout: float = 60) -> Output:
        """Run a script for `sh` inside and wait until it has finished; stdin is empty.

        Raises:
            Unreachable: the machine does not answer.
            Overdue: it did not within `timeout` seconds.
        """
        begun = time.monotonic()
        output = self._shell(user or self.user).run(script, timeout)
        log.debug(log.SCRIPTS, "[%s] $ %s # %.2f s, exit code %d",
                     self.machine, script, time.monotonic() - begun, output.code)  # fmt: skip
        return output

    def close(self) -> None:
        """Close the open shells."""
        for shell in self._shells.values():
            shell.close()
        self._shells.clear()

    def _shell(self, who: str) -> _Shell:
        shell = self._shells.get(who)
        if shell is not None and not shell.alive:
            shell.close()
            shell = None
        if shell is None:
            workdir = self.workdir if who == self.user else "/"
            argv = self.enter(["sh"], user=who, workdir=workdir, terminal=False)
            shell = self._shells[who] = _Shell(self.machine, argv)
        return shell

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Shell:
    """One `sh` inside a machine that reads commands from a pipe.

    Each command is followed by a random mark on stdout (with the exit code) and on
    stderr, so output may hold any bytes and nothing is left in the machine.
    """

    def __init__(self, machine: str, argv: list[str]) -> None:
        self._machine = machine
        self._child: Popen[bytes] = process.start(argv)
        self._served = False
        self._closed = False

    @property
    def alive(self) -> bool:
        """It can be asked; one that ended before its first answer can, to hear why."""
        return not self._closed and (not self._served or self._child.poll() is None)

    def run(self, script: str, timeout: float) -> Output:
        mark = os.urandom(16).hex()
        # `eval` in a subshell takes text of any length (an argument may not exceed
        # 128 KiB), and a syntax error or an `exit` ends the subshell alone. The blank
        # keeps a script that begins with `-` from being taken for an option.
        line = (
            f"(eval {shlex.quote(' ' + script)}) </dev/null\n"
            f"printf '\\n{mark} %d\\n' $?; printf '\\n{mark} 0\\n' >&2\n"
        )
        child = self._child
        assert child.stdin and child.stdout and child.stderr  # noqa: S101, PT018 - three pipes
        stdout, stderr = _Stream(child.stdout, mark), _Stream(child.stderr, mark)
        try:
            self._converse(line.encode(), (stdout, stderr), timeout)
        except BaseException:
            self.close()
            raise
        if stdout.code is None or stderr.code is None:
            self.close()
            raise Unreachable(
                f"machine {self._machine} does not answer", evidence=_last_lines(stdout, stderr)
            )
        self._served = True
        return Output(code=stdout.code, stdout=stdout.content(), stderr=stderr.content())

    def _converse(self, text: bytes, streams: tuple[_Stream, ...], timeout: float) -> None:
        """Say the text and listen until each stream has shown its mark or hung up."""
        deadline = time.monotonic() + timeout
        stdin = self._child.stdin
        assert stdin is not None  # noqa: S101 - process.start gives three pipes
        os.set_blocking(stdin.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(stdin, selectors.EVENT_WRITE)
            for stream in streams:
                selector.register(stream.pipe, selectors.EVENT_READ, stream)
            unsaid = memoryview(text)
            while listening := [s for s in streams if s.listening]:
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready and len(listening) == len(streams):
                    raise Overdue(f"machine {self._machine} did not answer within {timeout:g} s")
                if not ready:
                    return
                for key, _ in ready:
                    if isinstance(key.data, _Stream):
                        key.data.read()
                        if not key.data.listening:
                            selector.unregister(key.fileobj)
                        if key.data.hung_up:
                            deadline = min(deadline, time.monotonic() + LAST_WORDS)
                        continue
                    try:
                        unsaid = unsaid[os.write(stdin.fileno(), unsaid) :]
                    except BrokenPipeError:
                        unsaid = unsaid[:0]  # why, its stderr will say
                    if not unsaid:
                        selector.unregister(stdin)

    def close(self) -> None:
        self._closed = True
        process.kill(self._child)


class _Stream:
    """What one pipe of a shell gives for one command, up to the mark."""

    def __init__(self, pipe: IO[bytes], mark: str) -> None:
        self.pipe = pipe
        self.code: int | None = None
        self.hung_up = False
        self._mark = re.compile(rb"\n%b (\d+)\n" % mark.encode())
        self._overlap = len(mark) + 16
        self._received = bytearray()

    @property
    def listening(self) -> bool:
        return self.code is None and not self.hung_up

    def read(self) -> None:
        """Take what is there now; only the new part is searched for the mark."""
        data = os.read(self.pipe.fileno(), CHUNK)
        self.hung_up = not data
        searched = max(0, len(self._received) - self._overlap)
        self._received += data
        if match := self._mark.search(self._received, searched):
            self.code = int(match[1])
            del self._received[match.start() :]

    def content(self) -> bytes:
        return bytes(self._received)


def _last_lines(*streams: _Stream) -> list[str]:
    """What was said instead of an answer, by whichever stream."""
    output = b"\n".join(stream.content() for stream in streams)
    lines = output.decode("utf-8", "replace").splitlines()
    return [line for line in lines if line.strip()][-LAST_LINES:]
