"""The engine's HTTP API over its local socket: a request takes a millisecond or two, a start of `docker` 40.

Requests are HTTP/1.0: the engine then sends each answer whole and hangs up, so what comes back needs no
parser. (`http.client` is as slow to import as a start of `docker`.) Where the engine is not on a local
socket, or the socket refuses, every function returns None and the caller asks the command line, which
finds any engine and says best what is wrong.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import time
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision import log, process
from provision.docker_client import endpoint
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

CHUNK = 65536
_HEADER = 8  # bytes before each piece of a command's output: the stream, three zeros, the length
_STDERR = 2
_silent: dict[str, float] = {}  # when each socket did not answer


@dataclass(frozen=True, kw_only=True)
class Response:
    """What the engine answered: the status code of HTTP, the body, and the headers in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The engine's own words, where it refused."""
        try:
            return str(json.loads(self.body)["message"])
        except (ValueError, KeyError, TypeError):
            return self.body.decode("utf-8", "replace").strip() or f"HTTP status {self.status}"


def local_socket(variables: Mapping[str, str], home: Path) -> str | None:
    """The path of the socket that `docker` would use; None if it would use anything else.

    Args:
        variables: the process's environment.
        home: the user's home folder.
    """
    if variables.get("DOCKER_TLS_VERIFY") or variables.get("DOCKER_TLS"):
        return None
    address = endpoint.address_in(variables, home)
    return address.removeprefix("unix://") if address and address.startswith("unix:///") else None


def get(path: str, parameters: Mapping[str, str] | None = None) -> Response | None:
    """Ask the engine for `path`; None if the command line has to."""
    from urllib.parse import quote, urlencode

    query = f"?{urlencode(parameters)}" if parameters else ""
    return _request("GET", quote(path, safe="/:@") + query, None, process.ANSWERS_WITHIN)


def execute(
    container: str,
    words: list[str],
    *,
    user: str,
    variables: Mapping[str, str],
    workdir: str,
    timeout: float,
) -> process.Completed | Response | None:
    """Run a command in a container; the engine's refusal as a response; None if the command line has to."""
    question = {
        "AttachStdout": True,
        "AttachStderr": True,
        "Cmd": words,
        "User": user,
        "Env": [f"{name}={value}" for name, value in variables.items()],
        "WorkingDir": workdir,
    }
    created = _request("POST", f"/containers/{container}/exec", question, process.ANSWERS_WITHIN)
    if created is None or created.status >= 300:
        return created
    path = f"/exec/{json.loads(created.body)['Id']}"
    output = _request("POST", f"{path}/start", {"Detach": False, "Tty": False}, timeout)
    if output is None:  # to ask the command line would run it twice
        return Response(status=504, body=b"the command did not end in time")
    if output.status >= 300:
        return output
    ended = _request("GET", f"{path}/json", None, process.ANSWERS_WITHIN)
    if ended is None or ended.status >= 300:
        return ended or Response(status=504, body=b"the engine did not say how the command ended")
    stdout, stderr = separate(output.body)
    return process.Completed(
        argv=("docker", "exec", container, *words),
        code=int(json.loads(ended.body)["ExitCode"] or 0),
        stdout=stdout.decode("utf-8", "replace"),
        stderr=stderr.decode("utf-8", "replace"),
    )


def separate(raw: bytes) -> tuple[bytes, bytes]:
    """The two streams of a command's output, which the engine sends in labelled pieces."""
    streams = bytearray(), bytearray()
    position = 0
    while position + _HEADER <= len(raw):
        length = int.from_bytes(raw[position + 4 : position + _HEADER], "big")
        piece = raw[position + _HEADER : position + _HEADER + length]
        streams[raw[position] == _STDERR].extend(piece)
        position += _HEADER + length
    return bytes(streams[0]), bytes(streams[1])


def _was_silent(address: str) -> bool:
    """Whether the engine at a socket did not answer within the last SILENT_FOR seconds."""
    return address in _silent and time.monotonic() - _silent[address] < process.SILENT_FOR


def _request(method: str, path: str, content: Any, timeout: float) -> Response | None:
    address = local_socket(os.environ, Path.home())
    if address is None or process.is_silent("docker") or _was_silent(address):
        return None
    body = b"" if content is None else json.dumps(content).encode()
    head = f"{method} {path} HTTP/1.0\r\nHost: docker\r\n"
    if content is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    begun = time.monotonic()
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(address)
            connection.sendall(f"{head}\r\n".encode() + body)
            raw = bytearray()
            while piece := connection.recv(CHUNK):
                raw += piece
    except TimeoutError:
        if timeout == process.ANSWERS_WITHIN:  # else a command in a container takes its time
            _silent[address] = time.monotonic()
        return None
    except OSError:  # it is not there, or refuses this user
        return None
    start, _, rest = bytes(raw).partition(b"\r\n\r\n")
    fields = start.split(b" ", 2)
    if len(fields) < 2 or not fields[1].isdigit():
        return None  # whatever listens there, it is no engine
    response = Response(status=int(fields[1]), body=rest, headers=_headers(start))
    seconds = time.monotonic() - begun
    words = ["curl", "--unix-socket", address, *(["--json", body.decode()] if content else []),
             f"http://docker{path}"]  # fmt: skip
    log.info(log.COMMANDS, "$ %s # %.2f s, status %d", shlex.join(words), seconds, response.status)
    return response


def _headers(start: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in start.decode("latin-1").split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}
