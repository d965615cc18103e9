"""The repositories of a machine, with the keys that they are signed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.files import read_regular
from provision.model import Repository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from provision.model import Base
    from provision.spec.scope import Scope
    from provision.spec.tree import Node

LARGEST_KEY = 1024 * 1024
DISTRIBUTION = 500  # how apt ranks what is not pinned


def read_repositories(nodes: Mapping[str, Node], base: Base, scope: Scope) -> tuple[Repository, ...]:
    """The repositories, in the order of the spec; a key is read here and never fetched."""
    return tuple(_repository(name, node, base, scope) for name, node in nodes.items())


def _repository(name: str, node: Node, base: Base, scope: Scope) -> Repository:
    fields = scope.fields(node)
    suite = fields.text("suite") or base.suite or ""
    if base.family == "apt" and not suite and base.name:
        scope.problems.add(f"{name} has no suite, and the base has none", node, "for example stable, or ./")
    pin = fields.whole("pin")
    if base.family == "apk" and pin is not None:
        scope.problems.add("apk does not rank repositories", fields.node("pin") or node, "remove pin")
    key = fields.node("key")
    path = scope.host_path(key, "the key") if key is not None else None
    return Repository(
        name=name,
        url=fields.text("url"),
        suite=suite,
        components=tuple(text for text, _ in fields.texts("components")) or ("main",),
        key=_key(path, key, scope) if path is not None and key is not None else None,
        key_file=path.name if path is not None else "",
        pin=DISTRIBUTION if pin is None else pin,
        origin=node.key_origin,
    )


def _key(path: Path, node: Node, scope: Scope) -> bytes | None:
    try:
        return read_regular(path, largest=LARGEST_KEY, in_place=True)[0]
    except OSError:
        pass
    scope.problems.add(f"the key {node.value} is not a key file", node, "name the file that was published")
    return None
