"""How a registry is told who asks: Basic, or a token of the server that it names."""

from __future__ import annotations

import base64
import re
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from requests import PreparedRequest, Response

    from provision.docker_client.credentials import Login

CLIENT = "provision"
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Authorization:
    """Adds the Authorization header to requests to a registry; requests to other hosts get none.

    Args:
        base: the URL that every request to the registry begins with.
        scope: the repository's path and the actions, as in `team/app:pull,push`.
        login: sent to the registry, or to its token server.
        authority: the CA file of the registry and its token server; None: the system's CAs.
        plain: the token server may use HTTP.
    """

    def __init__(
        self, base: str, scope: str, login: Login | None, *, authority: Path | None, plain: bool
    ) -> None:
        self._base = base
        self._scope = scope
        self._login = login
        self._authority = authority
        self._plain = plain
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
        """A token from the registry's token server, which gets the login over HTTPS only."""
        realm = wanted.get("realm", "")
        if urlsplit(realm).scheme != "https" and not self._plain:
            return ""
        parameters = {"service": wanted.get("service", ""), "scope": f"repository:{self._scope}"}
        answer = self._request_token(realm, parameters, within)
        try:
            data = answer.json()
            token = str(data.get("token") or data.get("access_token") or "")
        except (ValueError, AttributeError):
            token = ""
        return f"Bearer {token}" if answer.status_code == 200 and token else ""

    def _request_token(self, realm: str, parameters: Mapping[str, str], within: float) -> Response:
        """The token server's response; like Docker, trust the registry's CA as well as the system's."""
        import requests

        login, timeout = self._login, (within, within)
        if login and login.token:
            grant = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": login.token}
            send = partial(requests.post, realm, data={**parameters, **grant}, timeout=timeout)
        else:
            pair = (login.user, login.password) if login and login.user else None
            send = partial(requests.get, realm, params=parameters, auth=pair, timeout=timeout)
        if self._authority:
            with suppress(requests.exceptions.SSLError):
                return send(verify=str(self._authority))
        return send()
