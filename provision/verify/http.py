"""One HTTP request over any byte stream: a host socket, or a shell inside the machine."""

from __future__ import annotations

import shlex
import socket
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from provision.target import Overdue
from provision.verify.values import Unanswered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.target import Target

TIMEOUT = 30.0
LARGEST = 4 * 1024 * 1024
# bash opens sockets itself; where there is none, busybox brings nc.
_INSIDE = """
if command -v bash >/dev/null; then
  exec bash -c '{{ exec 3<>"/dev/tcp/$1/$2"; }} 2>/dev/null || exit 7
    printf %s "$3" >&3; exec head -c {largest} <&3' bash {host} {port} {request}
fi
if command -v nc >/dev/null; then
  printf %s {request} | nc {host} {port} || exit 7
  exit 0
fi
echo "it needs bash or nc inside" >&2
exit 8
"""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A URL taken apart."""

    url: str
    host: str
    port: int
    tls: bool
    text: str

    @classmethod
    def of(cls, url: str, method: str = "GET") -> Request:
        """The request for a URL.

        Raises:
            Unanswered: it is not an http or https URL.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise Unanswered(f"{url} is not a URL: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unanswered(f"{url} is not an http or https URL")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(
            url=url,
            host=parts.hostname,
            port=port or (443 if parts.scheme == "https" else 80),
            tls=parts.scheme == "https",
            # HTTP 1.0, so that the end of the answer is the end of the connection
            text=f"{method} {path} HTTP/1.0\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n"
            "User-Agent: provision\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Status, headers by name in lower case, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, raw: bytes) -> Answer | None:
        """The answer in these bytes; None if they contain none. A truncated body is kept."""
        from http.client import HTTPException, HTTPResponse, IncompleteRead

        response = HTTPResponse(cast("socket.socket", _Received(raw)))
        try:
            response.begin()
        except (HTTPException, ValueError):
            return None
        try:
            body = response.read()
        except IncompleteRead as cut:
            body = cut.partial
        headers = {name.lower(): value for name, value in response.getheaders()}
        return cls(status=response.status, headers=headers, body=body)


@dataclass(frozen=True)
class _Received:
    """Bytes in the place of the socket that `http.client` reads from."""

    raw: bytes

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self.raw)


def from_host(request: Request, address: str, port: int) -> bytes | str:
    """The published port's answer, or the reason why there is none."""
    place = f"{address}:{port} on the host"
    try:
        with socket.create_connection((address, port), TIMEOUT) as connection:
            asked = connection
            if request.tls:
                from provision.verify.tunnel import trusting

                asked = trusting().wrap_socket(connection, server_hostname=request.host)
            asked.sendall(request.text.encode())
            answer = b""
            while len(answer) < LARGEST and (data := asked.recv(65536)):
                answer += data
    except OSError as error:
        return f"{place} does not answer: {error.strerror or error}"
    return answer or f"{place} hangs up without an answer"


def inside(request: Request, target: Target) -> bytes | str:
    """The answer from inside the machine, or the reason why there is none."""
    if request.tls:
        return _inside_secured(request, target)
    script = _INSIDE.format(
        host=shlex.quote(request.host),
        port=request.port,
        request=shlex.quote(request.text),
        largest=LARGEST,
    )
    try:
        output = target.run(script, timeout=TIMEOUT)
    except Overdue:
        target.run("true", timeout=10)  # raises where the whole machine is silent
        return f"{request.url} did not answer within {TIMEOUT:g} s"
    if output.code == 8:
        raise Unanswered("neither bash nor nc is available inside")
    if not output.stdout:
        return f"{request.host}:{request.port} does not answer inside the machine"
    return output.stdout


def _inside_secured(request: Request, target: Target) -> bytes | str:
    from provision.verify.tunnel import exchange

    try:
        answer = exchange(
            target, request.host, request.port, request.text.encode(),
            timeout=TIMEOUT, largest=LARGEST,
        )  # fmt: skip
    except OSError as error:
        why = getattr(error, "reason", None) or error.strerror or str(error)
        return f"{request.host}:{request.port} does not answer in TLS inside the machine: {why}"
    return answer or f"{request.host}:{request.port} hangs up without an answer"
