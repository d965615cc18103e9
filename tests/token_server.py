"""A server of tokens for a real registry, as those of GitHub, GitLab and Docker Hub: who asks gets a JWT.

Its certificate and its key are those that `tests.registry_server.certify` makes.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ISSUER, SERVICE = "tests", "registry"
LASTS = 60  # seconds


@dataclass
class TokenServer:
    """One that runs; `asked` has who asked for what: (user, scope)."""

    folder: Path
    user: str
    password: str
    port: int = 0
    lasts: float = LASTS
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def realm(self) -> str:
        return f"https://127.0.0.1:{self.port}/token"

    def configuration(self) -> dict[str, str]:
        """What the registry is told of it."""
        return {
            "realm": self.realm,
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(self.folder / "ca.crt"),
        }

    def token(self, user: str, scope: str) -> str:
        """What lets a user do what it asked for; somebody without a name may only pull."""
        kind, path, actions = scope.split(":")
        granted = [each for each in actions.split(",") if user or each == "pull"]
        now = int(time.time())
        claims = {
            "iss": ISSUER, "sub": user, "aud": SERVICE, "iat": now, "nbf": now - 5, "exp": now + self.lasts,
            "jti": str(time.monotonic_ns()), "access": [{"type": kind, "name": path, "actions": granted}],
        }  # fmt: skip
        certificate = x509.load_pem_x509_certificate((self.folder / "server.pem").read_bytes())
        chain = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]
        header = {"typ": "JWT", "alg": "ES256", "x5c": chain}
        signed = ".".join(_word(json.dumps(each).encode()) for each in (header, claims))
        key = serialization.load_pem_private_key((self.folder / "server.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        numbers = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_word(b''.join(each.to_bytes(32, 'big') for each in numbers))}"

    def who(self, authorization: str) -> str | None:
        """The user of a request; empty without a login, None with a wrong one."""
        if not authorization:
            return ""
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        return self.user if pair == f"{self.user}:{self.password}" else None


def _word(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def token_server(folder: Path, *, user: str, password: str) -> Iterator[TokenServer]:
    """Run one whose certificate lies in a folder."""
    server = TokenServer(folder=folder, user=user, password=password)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            user = server.who(self.headers.get("Authorization", ""))
            [scope] = query.get("scope", [""])
            server.asked.append((str(user), scope))
            assert query["service"] == [SERVICE]
            found = {"token": server.token(user, scope)} if user is not None and scope else {}
            content = json.dumps(found).encode()
            self.send_response(200 if found else 401)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        server.port = listening.server_address[1]
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield server
        listening.shutdown()
