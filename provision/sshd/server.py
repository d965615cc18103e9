"""The server: each session is a command in the machine, each forward a connection from inside it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeVar

import asyncssh

from provision import process
from provision.attach import end_script, named
from provision.errors import ProvisionError
from provision.quick_dataclasses import dataclass
from provision.sshd.files import Files
from provision.target import CONNECT, LOGIN_SHELL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from subprocess import Popen

    from provision.target import Target

_Answer = TypeVar("_Answer")
CHUNK = 65536
ENDING = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
GRACE = 2  # seconds that a command has to end once its client has gone
# As sshd does it: the user's own shell reads the command.
COMMAND = 'shell=$(getent passwd "$(id -un)" | cut -d: -f7); exec "${shell:-/bin/sh}" -c "$1"'
PASSED = ("LANG", "LC_", "COLORTERM")  # of what a client may send


def serve(target: Target) -> None:
    """Serve the connection on stdin and stdout until it ends."""
    ours, theirs = socket.socketpair()
    threading.Thread(target=_pump_in, args=(ours,), daemon=True).start()
    writer = threading.Thread(target=_pump_out, args=(ours,), daemon=True)
    writer.start()
    with suppress(asyncssh.Error, ConnectionError):
        asyncio.run(_serve(theirs, target))
    writer.join(GRACE)


def _pump_in(ours: socket.socket) -> None:
    with suppress(OSError):
        while data := os.read(0, CHUNK):
            ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)


def _pump_out(ours: socket.socket) -> None:
    with suppress(OSError):
        while data := ours.recv(CHUNK):
            while data:
                data = data[os.write(1, data) :]


async def _serve(theirs: socket.socket, target: Target) -> None:
    sessions: set[asyncio.Task[None]] = set()
    connection = await asyncssh.run_server(
        theirs,
        server_factory=partial(_Server, target),
        process_factory=partial(_begin, target, sessions),
        sftp_factory=partial(Files, target),
        allow_scp=True,
        # Of this connection alone: the other end of the pipe started this process itself.
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        encoding=None,
        line_editor=False,
        agent_forwarding=False,
    )
    loop = asyncio.get_running_loop()
    for number in ENDING:  # ssh ends its ProxyCommand so, whatever runs then
        loop.add_signal_handler(number, connection.abort)
    await connection.wait_closed()
    if sessions:  # what they run inside is ended
        await asyncio.wait(sessions, timeout=GRACE * 5)


class _Server(asyncssh.SSHServer):
    """Takes whoever started it, as the user that is asked for."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - asyncssh's contract
        """Nothing is asked: whoever started this process may do the same by `exec`."""
        return False

    def connection_requested(
        self,
        dest_host: str,
        dest_port: int,
        orig_host: str,  # noqa: ARG002 - asyncssh's contract
        orig_port: int,  # noqa: ARG002
    ) -> Callable[[Any, Any], Awaitable[None]]:
        """Connect from inside the machine, never from this host."""
        return partial(_forward, self._target, dest_host, dest_port)


def _begin(
    target: Target, sessions: set[asyncio.Task[None]], client: asyncssh.SSHServerProcess[bytes]
) -> None:
    """Begin a session, in a task that does not end with its connection: it ends what runs inside."""
    task = asyncio.get_running_loop().create_task(_session(target, client))
    sessions.add(task)
    task.add_done_callback(sessions.discard)


async def _session(target: Target, client: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run a command, or a login shell, until it ends or its client has gone."""
    user = str(client.get_extra_info("username"))
    name = f"provision-{os.urandom(8).hex()}"
    command = client.command
    words = ["sh", "-c", LOGIN_SHELL] if command is None else ["sh", "-c", COMMAND, "sh", command]
    given = [f"{key}={value}" for key, value in client.env.items() if key.startswith(PASSED)]
    terminal = client.term_type is not None
    if terminal:
        given.append(f"TERM={client.term_type}")
    argv = target.enter(
        named(["env", *given, *words], name), user=user, workdir=target.workdir, terminal=terminal
    )
    child = _on_terminal(argv, client) if terminal else _on_pipes(argv)
    outputs = asyncio.gather(
        _outwards(child.output, client.stdout),
        *([_outwards(child.errors, client.stderr)] if child.errors is not None else []),
    )
    inputs = asyncio.ensure_future(_inwards(client.stdin, child))
    gone = asyncio.ensure_future(client.wait_closed())
    ended = _in_thread(child.process.wait)
    both: set[asyncio.Future[Any]] = {ended, gone}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        await _in_thread(_end, target, name)
        with suppress(OSError):
            child.process.terminate()
    code = await ended
    if not gone.done():
        await outputs
        client.exit(code if code >= 0 else 128 - code)
    inputs.cancel()
    child.close()


@dataclass(frozen=True, kw_only=True)
class _Child:
    """A running command and its streams; without `errors` it has a terminal, which is both others."""

    process: Popen[bytes]
    input: IO[bytes]
    output: IO[bytes]
    errors: IO[bytes] | None

    def close(self) -> None:
        """Close what is still open."""
        for stream in (self.input, self.output, self.errors):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _on_pipes(argv: list[str]) -> _Child:
    child = process.start(argv, own_session=True)
    assert child.stdin and child.stdout and child.stderr  # noqa: S101, PT018 - three pipes
    return _Child(process=child, input=child.stdin, output=child.stdout, errors=child.stderr)


def _on_terminal(argv: list[str], client: asyncssh.SSHServerProcess[bytes]) -> _Child:
    child, screen = process.start_on_terminal(argv)
    stream = os.fdopen(screen, "r+b", 0)
    asyncssh.misc.set_terminal_size(stream, *client.term_size)
    return _Child(process=child, input=stream, output=stream, errors=None)


_THREADS = ThreadPoolExecutor(256)  # most of them wait for a stream, three for each session


def _in_thread(act: Callable[..., _Answer], *arguments: object) -> asyncio.Future[_Answer]:
    """Have something that waits done beside; only few at a time would be in the loop's own threads."""
    return asyncio.get_running_loop().run_in_executor(_THREADS, partial(act, *arguments))


async def _inwards(reader: asyncssh.SSHReader[bytes], child: _Child) -> None:
    """What the client types, and the size of its window."""
    while True:
        try:
            data = await reader.read(CHUNK)
        except asyncssh.TerminalSizeChanged as change:
            if child.errors is None:
                asyncssh.misc.set_terminal_size(child.input, *change.term_size)
            continue
        except asyncssh.BreakReceived:
            continue
        except asyncssh.SignalReceived:
            continue
        except asyncssh.Error:
            return
        try:
            if data:
                await _in_thread(_write, child.input, data)
                continue
            if child.errors is not None:
                child.input.close()
        except OSError:
            pass  # the command reads no more
        return


def _write(stream: IO[bytes], data: bytes) -> None:
    """Write all of it: a pipe may take less."""
    while data:
        data = data[stream.write(data) :]


async def _outwards(stream: IO[bytes], writer: Any) -> None:
    """What a command, or a server inside, says, to its end."""
    with suppress(OSError, asyncssh.Error):  # a terminal's end is an error, too
        while data := await _in_thread(os.read, stream.fileno(), CHUNK):
            writer.write(data)
            await writer.drain()


def _end(target: Target, name: str) -> None:
    with suppress(ProvisionError):  # the machine is gone, and the command with it
        target.run(end_script(name, signal.SIGHUP, GRACE), user="root", timeout=GRACE * 5)


async def _forward(target: Target, host: str, port: int, reader: Any, writer: Any) -> None:
    """Bytes both ways between the client and what listens inside."""
    words = ["sh", "-c", CONNECT, "sh", host, str(port)]
    child = _on_pipes(target.enter(words, user=target.user, workdir="/", terminal=False))
    sending = asyncio.ensure_future(_inwards(reader, child))
    await _outwards(child.output, writer)
    writer.close()
    sending.cancel()
    with suppress(OSError):
        child.process.terminate()
    await _in_thread(child.process.wait)
    child.close()
