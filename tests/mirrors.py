"""Mirrors that do what mirrors do on bad days: stall, break off, fail, lie."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def own_address() -> str:
    """An address of this host that machines can reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("192.0.2.1", 9))  # sends nothing
        return str(asked.getsockname()[0])


@contextmanager
def stalling(host: str = "127.0.0.1") -> Iterator[tuple[str, list[float]]]:
    """The URL of a server that accepts every connection and never says a word, and who called."""
    with socket.create_server((host, 0), backlog=64) as server:
        called: list[float] = []
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return
                called.append(len(held))

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://{own_address() if host == '' else host}:{server.getsockname()[1]}", called
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for each in held:
                each.close()


Answer = tuple[int, bytes, int]
"""Status, body, and how many bytes the header promises."""


@contextmanager
def answering(
    answer: Callable[[str, int], Answer], host: str = "127.0.0.1"
) -> Iterator[tuple[str, list[str]]]:
    """The URL of a server whose answers follow from the path and how often it was asked for; the paths.

    What is promised and not sent is broken off.
    """
    asked: list[str] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                asked.append(self.path)
                count = asked.count(self.path)
            status, body, length = answer(self.path, count)
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://{own_address() if host == '' else host}:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
