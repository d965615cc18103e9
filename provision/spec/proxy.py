"""The proxy of a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.files import read_regular
from provision.model import Proxy
from provision.spec.paths import named_path

if TYPE_CHECKING:
    from pathlib import Path

    from provision.spec.scope import Scope
    from provision.spec.tree import Node


LARGEST = 1024 * 1024


def read_proxy(node: Node | None, scope: Scope) -> Proxy | None:
    """The proxy, where there is one; its certificate is public, and may lie anywhere."""
    if node is None:
        return None
    fields = scope.fields(node)
    ca = fields.node("ca")
    path = None
    if ca is not None:
        path = named_path(
            ca, "the certificate", project=scope.project, allow_outside=True, problems=scope.problems
        )
    return Proxy(
        http=fields.text("http") or None,
        https=fields.text("https") or None,
        no_proxy=tuple(text for text, _ in fields.texts("no_proxy")),
        ca=_certificate(path, ca, scope) if path is not None and ca is not None else None,
        ca_file=path,
    )


def _certificate(path: Path, node: Node, scope: Scope) -> bytes | None:
    try:
        text, _ = read_regular(path, largest=LARGEST)
    except OSError:
        text = b""
    if b"-----BEGIN CERTIFICATE-----" not in text:
        scope.problems.add(f"{node.value} is no certificate in PEM", node, "it begins with BEGIN CERTIFICATE")
        return None
    return text
