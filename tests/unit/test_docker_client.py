"""The client of Docker: where it finds the engine, how it reads answers, what it says of a bad one."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest

from provision import process
from provision.docker_client import api, commands, queries
from provision.errors import EnvironmentFailed, HostLacks, ProvisionError
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULT_SOCKET = "/var/run/docker.sock"
DEAD = "Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?"


@pytest.mark.parametrize(
    ("lines", "kind", "message"),
    [
        ([DEAD, DEAD, DEAD], HostLacks, "the Docker engine does not answer"),
        (
            ["permission denied", "permission denied"],
            HostLacks,
            "this user has no access to the Docker engine",
        ),
        (["Error: a", "Error: a"], EnvironmentFailed, "the Docker engine refused"),
    ],
)
def test_the_engines_words_are_shown_once(lines: list[str], kind: type[ProvisionError], message: str) -> None:
    error = queries.refusal(lines)
    assert type(error) is kind
    assert (error.message, error.evidence) == (message, (lines[0],))


@pytest.mark.parametrize(
    ("variables", "configuration", "path"),
    [
        ({}, None, DEFAULT_SOCKET),
        ({}, "{}", DEFAULT_SOCKET),
        ({}, '{"currentContext": "default"}', DEFAULT_SOCKET),
        ({}, '{"currentContext": "desktop-linux"}', None),
        ({}, "not JSON", None),
        ({}, "[]", None),
        ({"DOCKER_HOST": "unix:///run/user/1/docker.sock"}, None, "/run/user/1/docker.sock"),
        ({"DOCKER_HOST": "unix:///x.sock"}, '{"currentContext": "far"}', "/x.sock"),
        ({"DOCKER_HOST": "unix:///x.sock", "DOCKER_CONTEXT": "far"}, None, "/x.sock"),
        ({"DOCKER_HOST": "ssh://somewhere"}, None, None),
        ({"DOCKER_HOST": "tcp://127.0.0.1:2375"}, None, None),
        ({"DOCKER_HOST": "unix://relative"}, None, None),
        ({"DOCKER_HOST": ""}, None, DEFAULT_SOCKET),
        ({"DOCKER_CONTEXT": "far"}, None, None),
        ({"DOCKER_CONTEXT": "default"}, '{"currentContext": "far"}', DEFAULT_SOCKET),
        ({"DOCKER_HOST": "unix:///x.sock", "DOCKER_TLS_VERIFY": "1"}, None, None),
    ],
)
def test_the_socket_is_the_one_that_docker_would_use(
    variables: dict[str, str], configuration: str | None, path: str | None, tmp_path: Path
) -> None:
    folder = tmp_path / ".docker"
    folder.mkdir()
    if configuration is not None:
        (folder / "config.json").write_text(configuration)
    assert api.local_socket(variables, tmp_path) == path
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    assert api.local_socket({**variables, "DOCKER_CONFIG": str(elsewhere)}, tmp_path) == path


def test_the_streams_of_a_command_are_told_apart() -> None:
    pieces = [(1, b"one\n"), (2, b"bad"), (1, b""), (1, b"two\n"), (2, b"\n")]
    raw = b"".join(bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text for stream, text in pieces)
    assert api.separate(raw) == (b"one\ntwo\n", b"bad\n")
    assert api.separate(b"") == (b"", b"")


CONTAINER = {
    "Id": "a1b2", "Name": "/dev-1",
    "State": {"Running": True, "Paused": False, "Restarting": False, "ExitCode": 0,
              "Health": {"Status": "healthy"}},
    "Config": {"Image": "provision/dev:1", "Labels": {"provision.id": "0123abcd"}},
    "NetworkSettings": {
        "Networks": {"a": {"IPAddress": ""}, "b": {"IPAddress": "172.18.0.2"}},
        "Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "53/udp": None},
    },
}  # fmt: skip
IMAGE = {"Id": "sha256:1", "RepoTags": ["provision/dev:1", "debian:latest"], "Size": 7,
         "Architecture": "amd64", "Config": {"Labels": None}}  # fmt: skip
ANSWERS: dict[str, tuple[int, Any]] = {
    "GET /containers/dev-1/json": (200, CONTAINER),
    "GET /images/provision/dev:1/json": (200, IMAGE),
    "GET /volumes/data": (200, {"Name": "data", "Mountpoint": "/x", "Labels": None}),
    "GET /networks/net": (200, {"Name": "net", "IPAM": {}, "Labels": {"a": "b"}}),
    "GET /networks/broken": (500, {"message": "driver failed"}),
    "GET /containers/json?all=1&filters=%7B%22label%22%3A+%5B%22provision.id%3D0123abcd%22%5D%7D": (
        200, [{"Id": "dev-1"}, {"Id": "gone-meanwhile"}]),
    "GET /volumes?filters=%7B%22label%22%3A+%5B%22provision.id%3D0123abcd%22%5D%7D": (
        200, {"Volumes": [{"Name": "later"}, {"Name": "data"}], "Warnings": None}),
    "GET /volumes?filters=%7B%22label%22%3A+%5B%22none%22%5D%7D": (200, {"Volumes": None}),
    "GET /networks?filters=%7B%22label%22%3A+%5B%22provision.id%3D0123abcd%22%5D%7D": (
        200, [{"Name": "net", "Id": "9"}]),
    "POST /containers/dev-1/exec": (201, {"Id": "77"}),
    "POST /exec/77/start": (200, b"\1\0\0\0\0\0\0\3ok\n"),
    "GET /exec/77/json": (200, {"ExitCode": 3}),
    "POST /containers/stopped/exec": (409, {"message": "container stopped is not running"}),
}  # fmt: skip


class Engine(BaseHTTPRequestHandler):
    """Answers as an engine does; what it does not know is not there."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, content = ANSWERS.get(f"{self.command} {self.path}", (404, {"message": "no such object"}))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

    do_POST = do_GET  # noqa: N815 - named by http.server

    def address_string(self) -> str:
        return "the client"

    def log_message(self, form: str, *words: object) -> None:
        pass


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An engine on a local socket."""
    path = tmp_path / "docker.sock"
    with serving(path):
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        yield


@contextmanager
def serving(path: Path) -> Iterator[None]:
    with socketserver.ThreadingUnixStreamServer(str(path), Engine) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


# The mark lifts the ban on the socket; the PATH shows that no program is started.
needs_a_socket = pytest.mark.processes


@needs_a_socket
@pytest.mark.usefixtures("engine")
def test_an_engine_on_a_socket_is_asked_without_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    objects = queries.inspect(
        containers=["dev-1", "absent"], images=["provision/dev:1"], volumes=["data"], networks=["net"]
    )
    container = objects.containers["dev-1"]
    assert (container.running, container.health, container.address) == (True, "healthy", "172.18.0.2")
    assert [(port.guest, port.host) for port in container.ports] == [(80, 8080)]
    assert set(objects.containers) == {"dev-1"}
    assert set(objects.images) == {"provision/dev:1", "debian"}
    assert objects.volumes == {"data": {}}
    assert objects.networks == {"net": {"a": "b"}}
    assert queries.image("absent") is None
    assert queries.containers_with("provision.id=0123abcd") == (container,)
    assert queries.volumes_with("provision.id=0123abcd") == ("data", "later")
    assert queries.volumes_with("none") == ()
    assert queries.networks_with("provision.id=0123abcd") == ("net",)


@needs_a_socket
@pytest.mark.usefixtures("engine")
def test_an_engine_that_refuses_says_why() -> None:
    with pytest.raises(EnvironmentFailed) as caught:
        queries.inspect(networks=["broken"])
    assert caught.value.evidence == ("driver failed",)


@needs_a_socket
@pytest.mark.usefixtures("engine")
def test_a_short_command_in_a_container_needs_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    completed = commands.execute("dev-1", ["false"], user="root")
    assert (completed.code, completed.stdout, completed.stderr) == (3, "ok\n", "")
    with pytest.raises(Unreachable) as caught:
        commands.execute("stopped", ["true"])
    assert caught.value.evidence == ("container stopped is not running",)


@needs_a_socket
def test_where_no_socket_answers_the_command_line_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\necho '{DEAD}' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for host in (f"unix://{tmp_path}/none.sock", "tcp://127.0.0.1:1", "ssh://nowhere"):
        monkeypatch.setenv("DOCKER_HOST", host)
        with pytest.raises(HostLacks, match="the Docker engine does not answer"):
            queries.inspect(containers=["dev-1"])
        with pytest.raises(HostLacks, match="the Docker engine does not answer"):
            queries.engine()
        assert queries.version() is None


@needs_a_socket
def test_a_silent_socket_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    monkeypatch.setattr(process, "ANSWERS_WITHIN", 0.2)
    monkeypatch.setattr(api, "_silent", {})
    calls = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(8)
        listening.setblocking(False)

        def arrived() -> int:
            with suppress(BlockingIOError):
                while True:
                    calls.append(listening.accept()[0])
            return len(calls)

        assert [api.get("/info"), api.get("/version")] == [None, None]
        assert arrived() == 1
        monkeypatch.setattr(process, "SILENT_FOR", 0.0)
        assert api.get("/info") is None
        assert arrived() == 2
    for call in calls:
        call.close()
