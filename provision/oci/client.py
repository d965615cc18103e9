"""The client of a registry: manifests and blobs by HTTP, as the OCI distribution specification says it."""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from provision.oci.errors import Damaged, RegistryFailed, forbidden, unreachable, untrusted
from provision.oci.login import Authorization
from provision.oci.model import DIGEST, MANIFESTS, Descriptor, Manifest
from provision.oci.reference import HUB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from requests import Response, Session

    from provision.docker_client.credentials import Login
    from provision.oci.reference import Repository

T = TypeVar("T")
CONNECTS_WITHIN = 3.0  # seconds
ANSWERS_WITHIN = 5.0  # seconds, to a question
SENDS_WITHIN = 60.0  # seconds between two pieces of what is sent or taken
LARGEST_MANIFEST = 8 << 20
AT_ONCE = 8  # connections
TRIES = 3
_AGAIN = 0.5  # seconds before the second try; twice as long before the third
_DENIED = (401, 403)
_OVERLOADED = (429, 500, 502, 503, 504)


class _Cut(Exception):
    """The connection ended, or nothing came in time; worth another try."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """Asks one repository of a registry. Threads may share it.

    Args:
        repository: which one.
        login: sent to this registry, and to the server of tokens that it names; to nobody else.
        authority: the certificates that its own is checked with; None: the system's.
        writes: whether it is going to push.
    """

    repository: Repository
    login: Login | None = None
    authority: Path | None = None
    writes: bool = False
    _session: list[Session] = field(default_factory=list, init=False, repr=False, compare=False)

    @cached_property
    def _authorization(self) -> Authorization:
        scope = f"{self._path}:{'pull,push' if self.writes else 'pull'}"
        return Authorization(
            self._base, scope, self.login, authority=self.authority, plain=self.repository.is_local
        )

    @cached_property
    def _base(self) -> str:
        """Where it is asked: by HTTPS; on the loopback by HTTP, if it speaks no TLS."""
        plain = self.repository.is_local and not _speaks_tls(self.repository.address)
        return f"{'http' if plain else 'https'}://{self.repository.address}"

    def manifest(self, reference: str) -> Manifest | None:
        """The manifest of a tag or digest; None where there is none.

        Raises:
            RegistryFailed: no answer, no access, or no manifest that can be used.
        """
        answer = self._send("GET", f"manifests/{reference}", headers={"Accept": ", ".join(MANIFESTS)})
        if answer.status_code == 404:
            answer.close()
            return None
        self._require(answer, 200)
        content = self._read(answer, LARGEST_MANIFEST)
        digest = digest_of(content)
        if DIGEST.fullmatch(reference) and digest != reference:
            raise self._damaged(f"the manifest {reference}", f"its digest is {digest}")
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return Manifest(media_type=kind, digest=digest, content=content)

    def put_manifest(self, reference: str, media_type: str, content: bytes) -> str:
        """Store a manifest, whose blobs are there, under a tag; its digest."""
        answer = self._send(
            "PUT", f"manifests/{reference}", headers={"Content-Type": media_type}, body=content
        )
        self._require(answer, 201)
        return digest_of(content)

    def has_blob(self, digest: str) -> bool:
        """Whether a blob is there."""
        answer = self._send("HEAD", f"blobs/{digest}")
        if answer.status_code == 404:
            return False
        self._require(answer, 200)
        return True

    def put_blob(self, content: bytes, digest: str) -> None:
        """Store a blob."""

        def once() -> None:
            begun = self._once("POST", "blobs/uploads/", within=SENDS_WITHIN)
            self._require(begun, 202)
            place = urljoin(begun.url, begun.headers.get("Location", ""))
            place += f"{'&' if urlsplit(place).query else '?'}digest={digest}"
            headers = {"Content-Type": "application/octet-stream"}
            self._require(self._once("PUT", place, headers=headers, body=content, within=SENDS_WITHIN), 201)

        self._again(once)

    def blob(self, wanted: Descriptor) -> bytes:
        """A blob, checked by its digest.

        Raises:
            Damaged: it is another, or longer or shorter than it should be; or it is not there.
        """

        def once() -> bytes:
            answer = self._once("GET", f"blobs/{wanted.digest}", within=SENDS_WITHIN)
            if answer.status_code == 404:
                answer.close()
                raise self._damaged(f"the blob {wanted.digest}", "it is not there")
            self._require(answer, 200)
            return self._read(answer, wanted.size + 1)

        content = self._again(once)
        if digest_of(content) != wanted.digest:
            raise self._damaged(f"the blob {wanted.digest}", f"what came has {digest_of(content)}")
        return content

    def _damaged(self, what: str, reason: str) -> Damaged:
        return Damaged(
            f"{what} in {self.repository} is damaged",
            reason,
            hint="push it again from a host that has it, or build it here: up --pull never",
        )

    def _send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        return self._again(lambda: self._once(method, path, headers=headers, body=body))

    def _again(self, once: Callable[[], T]) -> T:
        """Do it, and again where the connection was cut; what never answered is not asked twice."""
        for attempt in range(TRIES):
            try:
                return once()
            except _Cut as error:
                if attempt == TRIES - 1:
                    raise unreachable(self.repository, str(error)) from error
                time.sleep(_AGAIN * 2**attempt)
        raise AssertionError  # pragma: no cover - the last try returns or raises

    def _once(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        within: float = ANSWERS_WITHIN,
    ) -> Response:
        """Ask once; with a login, where the registry wants one.

        Raises:
            RegistryFailed: nobody is there, or with a certificate that nobody trusts.
            _Cut: the connection ended.
        """
        from requests import exceptions

        url = path if "://" in path else f"{self._base}/v2/{self._path}/{path}"
        try:
            answer = self._ask(method, url, headers, body, within)
            if answer.status_code == 401 and self._authorization.obtain(answer, within=within):
                answer.close()
                answer = self._ask(method, url, headers, body, within)
        except exceptions.SSLError as error:
            if "CERTIFICATE" in str(error) or "certificate" in str(error):
                raise untrusted(self.repository, _cause(error)) from error
            raise _Cut(_cause(error)) from error
        except exceptions.ConnectTimeout as error:
            raise unreachable(self.repository, f"no connection within {CONNECTS_WITHIN:g} s") from error
        except exceptions.Timeout as error:
            raise _Cut(f"no answer within {within:g} s") from error
        except exceptions.ConnectionError as error:
            if _is_new_connection(error):
                raise unreachable(self.repository, _cause(error)) from error
            raise _Cut(_cause(error)) from error
        except exceptions.RequestException as error:
            raise _Cut(_cause(error)) from error
        if answer.status_code in _OVERLOADED:
            raise _Cut(f"it answers HTTP {answer.status_code} {answer.reason}")
        return answer

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None, within: float
    ) -> Response:
        return self._open().request(
            method, url, headers=dict(headers or {}), data=body, stream=method == "GET",
            timeout=(CONNECTS_WITHIN, within), allow_redirects=method in ("GET", "HEAD"),
            verify=str(self.authority) if self.authority else None,  # before $REQUESTS_CA_BUNDLE
        )  # fmt: skip

    def _open(self) -> Session:
        if not self._session:
            self._session.append(_session(self._authorization))
        return self._session[0]

    @property
    def _path(self) -> str:
        path = self.repository.path
        return path if "/" in path or self.repository.host != HUB else f"library/{path}"

    def _read(self, answer: Response, limit: int) -> bytes:
        """The body, to the limit.

        Raises:
            _Cut: it ended before its end.
        """
        from requests import exceptions

        content = bytearray()
        try:
            for piece in answer.iter_content(1 << 16):
                content += piece
                if len(content) >= limit:
                    break
        except exceptions.RequestException as error:
            raise _Cut(f"the connection was cut: {_cause(error)}") from error
        finally:
            answer.close()
        return bytes(content[:limit])

    def _require(self, answer: Response, status: int) -> None:
        """Raise RegistryFailed unless it answered so; what it said is the reason."""
        if answer.status_code == status:
            return
        said = _words(answer)
        if answer.status_code in _DENIED:
            raise forbidden(self.repository, said, user=self.login.user if self.login else "")
        raise RegistryFailed(
            f"the registry {self.repository.host} refused a request for {self.repository.path}",
            f"HTTP {answer.status_code}: {said}",
        )


def digest_of(content: bytes) -> str:
    """The digest by which a registry knows these bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _speaks_tls(address: str) -> bool:
    """Whether something on the loopback answers a handshake, whatever its certificate."""
    parts = urlsplit(f"//{address}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is asked yet: the session checks it
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 443), CONNECTS_WITHIN) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except OSError:
        return False


def _session(authorization: Authorization) -> Session:
    from requests import Session
    from requests.adapters import HTTPAdapter

    session = Session()
    session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=AT_ONCE))
    session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=AT_ONCE))
    session.auth = authorization
    session.headers["User-Agent"] = "provision"
    return session


def _is_new_connection(error: Exception) -> bool:
    """Whether no connection was made at all: a name that nobody has, a port where nobody listens."""
    return any(word in str(error) for word in ("NewConnectionError", "NameResolutionError", "refused"))


def _cause(error: BaseException) -> str:
    """The innermost reason of an error of requests, which are wrapped four times."""
    text = str(error)
    while error.__cause__ or error.__context__ or getattr(error, "reason", None):
        error = getattr(error, "reason", None) or error.__cause__ or error.__context__  # type: ignore[assignment]
        if not isinstance(error, BaseException):
            break
        text = str(error) or text
    return " ".join(text.split())[:300]


def _words(answer: Response) -> str:
    """What a registry said of an error."""
    try:
        errors = answer.json()["errors"]
        return "; ".join(f"{each['code']}: {each['message']}" for each in errors)[:300]
    except (ValueError, KeyError, TypeError):
        return str(answer.reason)[:300]
