"""The proxy of a machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.files import read_regular
from provision.model import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from provision.spec.scope import Scope
    from provision.spec.tree import Node

LARGEST = 4 * 1024 * 1024  # the certificates of all public authorities are 0.2 MiB
# No other text and no headers: the same file may contain a private key.
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


def read_proxy(node: Node | None, scope: Scope) -> Proxy | None:
    """The proxy, where there is one."""
    if node is None:
        return None
    fields = scope.fields(node)
    ca = fields.node("ca")
    path = scope.host_path(ca, "the certificate") if ca is not None else None
    return Proxy(
        http=fields.text("http") or None,
        https=fields.text("https") or None,
        no_proxy=tuple(text for text, _ in fields.texts("no_proxy")),
        ca=_certificates(path, ca, scope) if path is not None and ca is not None else None,
    )


def _certificates(path: Path, node: Node, scope: Scope) -> bytes | None:
    """The certificates in a file, and nothing else from it."""
    try:
        text, _ = read_regular(path, largest=LARGEST, in_place=True)
        certificates = [body for body in _CERTIFICATE.findall(text) if body.strip()]
    except OSError:
        certificates = []
    if not certificates:
        scope.problems.add(f"{node.value} is not a PEM certificate", node, "it begins with BEGIN CERTIFICATE")
        return None
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n" % body.replace(b"\r", b"").strip()
        for body in certificates
    )
