"""A real registry for tests: Debian's docker-registry on the loopback, with TLS and a password if wanted."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.second_host import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.token_server import TokenServer

USER, PASSWORD = "team", "s3cret"
WITHIN = 10.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """A registry that runs; `folder` has its files, `ca` the certificate of its CA."""

    folder: Path
    port: int
    ca: Path | None = None
    address: str = "127.0.0.1"

    @property
    def host(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def repository(self) -> str:
        return f"{self.host}/team/environments"

    def blobs(self) -> dict[str, Path]:
        """Every blob by its digest, manifests too."""
        root = self.folder / "data" / "docker" / "registry" / "v2" / "blobs" / "sha256"
        return {f"sha256:{path.parent.name}": path for path in root.glob("*/*/data")}

    def login(self, folder: Path, password: str = PASSWORD) -> dict[str, str]:
        """What `docker login` leaves, as the variables by which it is found."""
        folder.mkdir(parents=True, exist_ok=True)
        pair = base64.b64encode(f"{USER}:{password}".encode()).decode()
        auths = {self.host: {"auth": pair}}
        (folder / "config.json").write_text(json.dumps({"auths": auths}))
        return {"DOCKER_CONFIG": str(folder)}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serve(
    folder: Path,
    *,
    tls: bool = False,
    password: bool = False,
    everywhere: bool = False,
    tokens: TokenServer | None = None,
) -> Iterator[Server]:
    """Run a registry whose data lies in a folder; on the loopback, or on all addresses of this host.

    Args:
        folder: for its data, its certificate and its log.
        tls: whether it speaks TLS.
        password: whether it wants one.
        everywhere: on all addresses of this host.
        tokens: it wants one of this server.
    """
    program = shutil.which("docker-registry")
    if program is None:
        message = "there is no docker-registry (scripts/host-setup tests installs it)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder=folder, port=free_port(), ca=_ca(folder) if tls else None)
    listened = "0.0.0.0" if everywhere else server.address
    served = {"certificate": str(folder / "server.pem"), "key": str(folder / "server.key")}
    configuration: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"{listened}:{server.port}"} | ({"tls": served} if tls else {}),
    }
    if password:
        (folder / "htpasswd").write_text(f"{USER}:{_bcrypt(PASSWORD)}\n")
        configuration["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    if tokens:
        configuration["auth"] = {"token": tokens.configuration()}
    (folder / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        _wait(server, running)
        yield server
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(WITHIN)


def _ca(folder: Path) -> Path:
    """The CA of the certificate in a folder, made now unless it is there."""
    found = folder / "ca.crt"
    return found if found.exists() else certify(folder)


def _wait(server: Server, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline and running.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 1):
            return
        time.sleep(0.05)
    raise AssertionError((server.folder / "log").read_text())


def _bcrypt(password: str) -> str:
    """The hash of a password by bcrypt, which Python has no longer: the C library's `crypt` has."""
    perl = "print crypt($ARGV[0], q($2b$04$) . q(abcdefghijklmnopqrstuu))"
    return subprocess.run(["perl", "-e", perl, password], capture_output=True, text=True, check=True).stdout


def certify(folder: Path) -> Path:
    """A CA of our own, and by it a certificate for this host in server.pem and server.key; the CA's file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    now = dt.datetime.now(dt.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(subject: str, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("test CA"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    ca = (
        certificate("test CA", ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", ADDRESS)]
    served = (
        certificate("registry", key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.crt").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(served.public_bytes(pem))
    (folder / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "ca.crt"


class Cutting:
    """Between a client and a registry: passes on what comes, and cuts all once so much has come."""

    def __init__(self, port: int, after: int) -> None:
        self._target = port
        self._left = after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._connections: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def close(self) -> None:
        """Cut what is connected, and wait until nothing is."""
        self._left = -1
        self._listener.shutdown(socket.SHUT_RDWR)  # a close alone leaves `accept` waiting
        self._accepting.join(WITHIN)
        self._listener.close()
        for each in self._connections:
            each.join(WITHIN)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                connection = threading.Thread(target=self._connect, args=(client,))
                self._connections.append(connection)
                connection.start()

    def _connect(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            answers = threading.Thread(target=self._pump, args=(server, client, True))
            answers.start()
            self._pump(client, server, counts=False)
            answers.join(WITHIN)

    def _pump(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 14):
                self._left -= len(piece) if counts else 0
                if self._left < 0:
                    break
                target.sendall(piece)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
