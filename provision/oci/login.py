"""How a registry is told who asks: Basic, or a token of the server that it names."""

from __future__ import annotations

import base64
import re
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from provision.docker_client.credentials import Login
    from provision.oci.reference import Repository

CLIENT = "provision"
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Authorization:
    """Adds to each request of a registry what it asked for; a request that goes elsewhere gets nothing."""

    def __init__(self, repository: Repository, base: str, login: Login | None, *, writes: bool) -> None:
        self._repository = repository
        self._base = base
        self._login = login
        self._writes = writes
        self._header = ""
        self._obtaining = threading.Lock()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """As requests calls it before it sends; not for what it is redirected to."""
        if self._header and (request.url or "").startswith(f"{self._base}/"):
            request.headers["Authorization"] = self._header
        return request

    def obtain(self, answer: Response, *, within: float) -> bool:
        """Get what a registry wants that refused a request; whether that is worth another try."""
        sent = answer.request.headers.get("Authorization", "")
        scheme, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
        with self._obtaining:
            if self._header != sent:  # another thread has got it meanwhile
                return True
            if scheme.lower() == "basic":
                header = self._basic()
            elif scheme.lower() == "bearer":
                header = self._bearer(dict(_PARAMETER.findall(rest)), within)
            else:
                header = ""
            self._header, before = header or self._header, self._header
        return bool(header) and header != before

    def _basic(self) -> str:
        if self._login is None or not self._login.user:
            return ""
        pair = f"{self._login.user}:{self._login.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"

    def _bearer(self, wanted: dict[str, str], within: float) -> str:
        """A token of the server that the registry names; the login goes there by HTTPS only."""
        import requests

        realm = wanted.get("realm", "")
        if urlsplit(realm).scheme != "https" and not self._repository.is_local:
            return ""
        actions = "pull,push" if self._writes else "pull"
        path = self._repository.path
        asked = {"service": wanted.get("service", ""), "scope": f"repository:{path}:{actions}"}
        timeout = (within, within)
        if self._login and self._login.token:
            grant = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": self._login.token}
            answer = requests.post(realm, data={**asked, **grant}, timeout=timeout)
        else:
            login = self._login
            pair = (login.user, login.password) if login and login.user else None
            answer = requests.get(realm, params=asked, auth=pair, timeout=timeout)
        try:
            data = answer.json()
            token = str(data.get("token") or data.get("access_token") or "")
        except (ValueError, AttributeError):
            token = ""
        return f"Bearer {token}" if answer.status_code == 200 and token else ""
