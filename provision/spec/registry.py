"""Where a spec says that its images and disks are, which takes a word of the person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.oci.reference import EXAMPLE, parse

if TYPE_CHECKING:
    from provision.spec.scope import Scope
    from provision.spec.tree import Node

OTHERWISE = "they are built here"


def read_registry(node: Node, scope: Scope) -> str:
    """The repository, if the person allows it; empty if not, or if it is none."""
    if not isinstance(node.value, str):
        return ""  # the schema says so
    if parse(node.value) is None:
        scope.problems.add(
            f"{node.value} is not a repository in a registry", node, f"for example registry: {EXAMPLE}"
        )
        return ""
    what = f"images and disks from {node.value}"
    return node.value if scope.demands.offer("registry", what, node, OTHERWISE) else ""
