"""What a machine of QEMU reaches: the world and its names, and nothing on the host's loopback."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil
import pytest

from tests.conftest import make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Project

SPEC = """
version: 1
name: walls
base: debian:12
resources: {memory: 512MiB, cpus: 1}
packages: [python3-minimal]
files:
  /opt/echo.py:
    content: |
      import socket
      with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
          asked.bind(("0.0.0.0", 5353))
          while True:
              said, whom = asked.recvfrom(99)
              asked.sendto(b"echo " + said, whom)
  /opt/page.py:
    content: |
      import contextlib, socket
      with socket.create_server(("0.0.0.0", 8080)) as asked:
          while True:
              there = asked.accept()[0]
              with there, contextlib.suppress(OSError):
                  there.recv(9999)
                  there.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\npage")
services:
  echo: {command: python3 /opt/echo.py}
  page: {command: python3 /opt/page.py, ready: {tcp: 8080}}
ports: ["8080", "5353/udp"]
backends: {vm: {provider: qemu}}
"""
PROBE = Path(__file__).parent / "walls_probe.py"

# Each a way to the host's loopback in some user-mode network. `<` is followed by a forged sender.
ROUTES = (
    *(f"10.0.2.{last}" for last in (0, 1, 2, 3, 4, 254, 255)),
    "10.0.3.1", "10.0.3.2", "10.0.3.3",  # of the namespace in between
    "127.0.0.1", "127.0.0.53", "127.255.255.255",
    "0.0.0.0", "0.0.0.1", "255.255.255.255", "224.0.0.1", "169.254.169.254",
    "127.0.0.1<127.0.0.1", "127.0.0.1<10.0.2.2", "10.0.2.2<127.0.0.1",
)  # fmt: skip


def own_address() -> str:
    """The host's address in its own network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("198.51.100.1", 9))
        return str(asked.getsockname()[0])


@dataclass
class Listener:
    """Listens on one address of the host by TCP and UDP, and notes who comes."""

    address: str
    port: int = 0
    seen: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._tcp = socket.create_server((self.address, 0))
        self.port = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((self.address, self.port))
        for listen in (self._accept, self._receive):
            threading.Thread(target=listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._tcp.close()
        self._udp.close()

    def _accept(self) -> None:
        while True:
            try:
                there, whom = self._tcp.accept()
            except OSError:
                return
            self.seen.append(f"tcp {whom}")
            there.close()

    def _receive(self) -> None:
        while True:
            try:
                _, whom = self._udp.recvfrom(99)
            except OSError:
                return
            self.seen.append(f"udp {whom}")
            self._udp.sendto(b"host", whom)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = make_project(tmp_path_factory.mktemp("walls") / "project", "vm")
    project.spec(SPEC)
    try:
        project.up()
        yield project
    finally:
        project.good("down", "--volumes", "--images")


def probe(project: Project, port: int, targets: tuple[str, ...]) -> dict[str, list[str]]:
    """How each address answers: by TCP, by UDP."""
    said = project.good(
        "exec", "-u", "root", "--", "python3", "-", str(port), *targets, stdin=PROBE.read_bytes()
    )
    return {line.split()[0]: line.split()[1:] for line in said.splitlines()}


def forwarded(project: Project, protocol: str) -> int:
    return next(int(port["host"]) for port in project.state()["ports"] if port["protocol"] == protocol)


def reaches_the_world(project: Project) -> None:
    assert project.inside("getent ahostsv4 deb.debian.org | grep -c STREAM") != "0\n"
    assert project.inside("bash -c 'exec 3<>/dev/tcp/deb.debian.org/80 && echo open'") == "open\n"


def is_reached_through_its_ports(project: Project) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{forwarded(project, 'tcp')}/", timeout=30) as page:
        assert page.read() == b"page"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(30)
        asked.sendto(b"hello", ("127.0.0.1", forwarded(project, "udp")))
        assert asked.recv(99) == b"echo hello"


def test_no_route_leads_to_the_hosts_loopback(up: Project) -> None:
    with Listener("127.0.0.1") as loopback, Listener("0.0.0.0") as everywhere:
        answers = probe(up, loopback.port, ROUTES)
        assert len(answers) == len(ROUTES)
        assert loopback.seen == [], answers
        assert "datagram" not in [udp for _, udp in answers.values()]
        # The same frames arrive where a machine is meant to reach.
        address = own_address()
        assert probe(up, everywhere.port, (address,)) == {address: ["connected", "datagram"]}
        assert len(everywhere.seen) == 2


def test_the_world_and_its_names_are_reached(up: Project) -> None:
    reaches_the_world(up)


def test_its_ports_are_forwarded(up: Project) -> None:
    is_reached_through_its_ports(up)


def networks(port: int) -> list[list[str]]:
    """The programs that are the network of the machine that has a port of the host."""
    return [
        words
        for each in psutil.process_iter()
        if each.name().startswith(("passt", "pasta"))
        and (words := each.cmdline())
        and f"127.0.0.1/{port}:20001" in words
    ]


def state_folder(project: Project) -> Path:
    """Where the QEMU that forwards this project's port keeps its files."""
    port = forwarded(project, "tcp")
    network = networks(port)[0]
    socket_of = network[network.index("-s") + 1]
    qemu = next(
        words
        for each in psutil.process_iter()
        if each.name().startswith("qemu") and (words := each.cmdline()) and socket_of in " ".join(words)
    )
    return Path(qemu[qemu.index("-pidfile") + 1]).parent


def test_nobody_else_may_read_its_disk_state_keys_and_console(up: Project) -> None:
    folder = state_folder(up)
    modes = {path.name: oct(path.lstat().st_mode & 0o777) for path in (folder, *folder.iterdir())}
    assert modes[folder.name] == "0o700"
    assert {modes[name] for name in ("walls.qcow2", "walls.console", "walls.net.log", "key")} == {"0o600"}


def test_so_it_is_after_a_start_from_memory(up: Project) -> None:
    port = forwarded(up, "tcp")
    assert len(networks(port)) > 0
    up.good("down")
    deadline = time.monotonic() + 30
    while networks(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert networks(port) == []
    said = up.run("up")
    assert said.code == 0, said.all
    assert "resuming from the saved state" in said.stderr
    with Listener("127.0.0.1") as loopback:
        probe(up, loopback.port, ROUTES)
        assert loopback.seen == []
    reaches_the_world(up)
    is_reached_through_its_ports(up)
