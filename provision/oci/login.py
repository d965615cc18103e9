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
    """Adds to each request of a registry what it asked for; a request that goes elsewhere gets nothing.

    Args:
        base: what the addresses of the registry begin with.
        scope: the repository's path, as the registry has it, and what is to be done: pull; pull,push.
        login: given to the registry, or to the server of tokens that it names.
        authority: the certificates that the registry's own is checked with; None: the system's.
        plain: tokens may be asked for without TLS.
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
        """A token of the server that the registry names; the login goes there by HTTPS only."""
        realm = wanted.get("realm", "")
        if urlsplit(realm).scheme != "https" and not self._plain:
            return ""
        asked = {"service": wanted.get("service", ""), "scope": f"repository:{self._scope}"}
        answer = self._ask(realm, asked, within)
        try:
            data = answer.json()
            token = str(data.get("token") or data.get("access_token") or "")
        except (ValueError, AttributeError):
            token = ""
        return f"Bearer {token}" if answer.status_code == 200 and token else ""

    def _ask(self, realm: str, asked: Mapping[str, str], within: float) -> Response:
        """As Docker does, trust the registry's authority for the server of its tokens, and the system's."""
        import requests

        login, timeout = self._login, (within, within)
        if login and login.token:
            grant = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": login.token}
            ask = partial(requests.post, realm, data={**asked, **grant}, timeout=timeout)
        else:
            pair = (login.user, login.password) if login and login.user else None
            ask = partial(requests.get, realm, params=asked, auth=pair, timeout=timeout)
        if self._authority:
            with suppress(requests.exceptions.SSLError):
                return ask(verify=str(self._authority))
        return ask()
