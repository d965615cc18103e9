"""TLS from here to a server inside a machine, so that nothing need be installed there."""

from __future__ import annotations

import os
import selectors
import ssl
import time
from typing import TYPE_CHECKING

from provision import process
from provision.target import CONNECT

if TYPE_CHECKING:
    from subprocess import Popen

    from provision.target import Target


def trusting() -> ssl.SSLContext:
    """TLS that trusts anyone: a machine made for development signs for itself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def exchange(target: Target, host: str, port: int, request: bytes, *, timeout: float, largest: int) -> bytes:
    """What a TLS server inside answers to a request, until it hangs up or `largest` bytes.

    Raises:
        OSError: it does not answer, not in TLS, or not within `timeout` seconds.
    """
    words = ["sh", "-c", CONNECT, "sh", host, str(port)]
    child = process.start(target.enter(words, user=target.user, workdir="/", terminal=False))
    try:
        return _Conversation(child, host, timeout).ask(request, largest)
    finally:
        process.kill(child)


class _Conversation:
    """TLS over the pipes of a child."""

    def __init__(self, child: Popen[bytes], host: str, timeout: float) -> None:
        assert child.stdin and child.stdout  # noqa: S101, PT018 - process.start gives three pipes
        self._to, self._from = child.stdin, child.stdout
        self._heard = False
        self._deadline = time.monotonic() + timeout
        self._received, self._unsent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trusting().wrap_bio(self._received, self._unsent, server_hostname=host)

    def ask(self, request: bytes, largest: int) -> bytes:
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._exchange()
        self._tls.write(request)
        answer = b""
        while len(answer) < largest:
            try:
                data = self._tls.read(65536)
            except ssl.SSLWantReadError:
                self._exchange()
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                break
            if not data:
                break
            answer += data
        return answer

    def _exchange(self) -> None:
        """Send what is to be sent, and wait for more."""
        if self._unsent.pending:
            try:
                self._to.write(self._unsent.read())
            except BrokenPipeError as error:
                raise ConnectionRefusedError(None, "nothing listens") from error
        with selectors.DefaultSelector() as selector:
            selector.register(self._from, selectors.EVENT_READ)
            if not selector.select(max(0.0, self._deadline - time.monotonic())):
                raise TimeoutError(None, "no answer in time")
        data = os.read(self._from.fileno(), 65536)
        if not data and not self._heard:
            raise ConnectionRefusedError(None, "nothing listens")
        self._heard = True
        if data:
            self._received.write(data)
        else:
            self._received.write_eof()
