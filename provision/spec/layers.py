"""The files that make up a spec, and the one rule for merging layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provision.model import Origin
from provision.spec.parts import PREFIX, find_part, parts
from provision.spec.paths import may_be_used, named_path, real_path
from provision.spec.port_forms import guest_ports, without
from provision.spec.problems import did_you_mean
from provision.spec.source import read_tree
from provision.spec.tree import Node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.spec.demands import Demands
    from provision.spec.problems import Problems


DEEPEST = 50


def lay(over: Node, under: Node, path: tuple[str, ...] = ()) -> Node:
    """`over` merged over `under`; every node keeps its place.

    Maps merge by key, lists append without repeats (`ports` by guest port), scalars
    replace. What is marked `!replace` replaces whole; a null removes its key.
    """
    if over.replace:
        return over
    if isinstance(over.value, dict) and isinstance(under.value, dict):
        entries = dict(under.value)
        for key, child in over.value.items():
            if child.value is None:
                entries.pop(key, None)
            elif key in entries:
                entries[key] = lay(child, entries[key], (*path, key))
            else:
                entries[key] = child
        return over.with_value(entries)
    if isinstance(over.value, list) and isinstance(under.value, list):
        if path[-1:] == ("ports",):
            guests = {guest for item in over.value for guest in guest_ports(item)}
            kept = [left for item in under.value for left in without(item, guests)]
            return over.with_value([*kept, *over.value])
        known = {_identity(item) for item in under.value}
        return over.with_value([*under.value, *(item for item in over.value if _identity(item) not in known)])
    return over


def _identity(node: Node) -> str:
    return repr(node.plain_data())


def stack(documents: Sequence[Node]) -> Node:
    """All documents, each merged over those before it."""
    whole = documents[0]
    for document in documents[1:]:
        whole = lay(document, whole)
    return whole


def for_backend(documents: Sequence[Node], backend: str, options: Sequence[str]) -> tuple[Node, Node]:
    """All documents with their `backends.<backend>`, each merged over what came before it.

    Args:
        documents: the lowest first.
        backend: whose keys are merged over the rest.
        options: keys of `backends.<backend>` that are no keys of a spec.

    Returns:
        The spec for that backend, and the backend's own options.
    """
    parts: list[Node] = []
    overlays: list[Node] = []
    own: list[Node] = []
    for document in documents:
        backends = _child(document, "backends")
        section = _child(backends, backend) if backends is not None else None
        if document.replace or removes(backends) or removes(section):
            parts = [part for part in parts if part not in overlays]
            overlays, own = [], []  # as in the whole, which is what the schema judges
        parts.append(document)
        if section is None or not isinstance(section.value, dict):
            continue
        entries = section.value.items()
        overlays.append(section.with_value({k: v for k, v in entries if k not in options}))
        parts.append(overlays[-1])
        own.append(section.with_value({k: v for k, v in entries if k in options}))
    nothing = Node({}, documents[0].file, 1, 1)
    return stack(parts), stack([nothing, *own])


def removes(node: Node | None) -> bool:
    """Whether nothing stays of what the layers below say in this place: it is null, or `!replace`."""
    return node is not None and (node.value is None or node.replace)


def _child(node: Node, key: str) -> Node | None:
    return node.value.get(key) if isinstance(node.value, dict) else None


class Reader:
    """Reads a spec, or a machine of one, and what it extends; every file once.

    Args:
        project: the folder that no file may be outside of without the word `outside`.
        parts: the folders in which parts are looked for; the project's own is the first.
        demands: asks for that word.
        problems: takes files that cannot be read, and circles.
    """

    def __init__(
        self, project: Path, parts: tuple[Path, ...], *, demands: Demands, problems: Problems
    ) -> None:
        self._project = project
        self._parts = parts
        self._demands = demands
        self._problems = problems
        self._read: set[Path] = set()
        self._documents: list[Node] = []

    def documents(self) -> tuple[Node, ...]:
        """What was read, the lowest first."""
        return tuple(self._documents)

    def take(self, key: str) -> Node | None:
        """Take a key that is no part of a spec out of what was read last."""
        document = self._documents[-1] if self._documents else None
        if document is None or not isinstance(document.value, dict) or key not in document.value:
            return None
        rest = {name: child for name, child in document.value.items() if name != key}
        self._documents[-1] = document.with_value(rest)
        return document.value[key]

    def read(self, path: Path, above: tuple[Path, ...] = ()) -> None:
        """Read a file after what it extends."""
        real = real_path(path)
        if real in self._read:
            return
        if len(above) >= DEEPEST:
            start = Origin(file=str(path), line=1, column=1)
            self._problems.add(
                f"specs extend each other more than {DEEPEST} deep", start, "let one of them extend several"
            )
            return
        root = read_tree(path, str(path), self._problems)
        if root is None:
            return
        root = self.extend(root, (*above, real))
        self._read.add(real)
        self._documents.append(root)

    def extend(self, root: Node, above: tuple[Path, ...] = ()) -> Node:
        """Read what a tree extends; the tree without saying so. `above` are the files that led to it."""
        extended = _child(root, "extends")
        for node in _list(extended):
            parent = self._parent(node, above)
            if parent is not None:
                self.read(parent, above)
        if isinstance(root.value, dict) and extended is not None and _is_texts(extended):
            root = root.with_value({k: v for k, v in root.value.items() if k != "extends"})
        return root

    def _parent(self, node: Node, above: tuple[Path, ...]) -> Path | None:
        if not isinstance(node.value, str) or not node.value:
            return None  # the schema says so
        if node.value.startswith(PREFIX):
            path = self._part(node.value.removeprefix(PREFIX), node)
            real = None if path is None else real_path(path)
        else:
            path = Path(node.file).parent / node.value
            real = named_path(
                node,
                "the spec",
                project=self._project,
                demands=self._demands,
                problems=self._problems,
            )
        if real is not None and real in above:
            circle = [file.name for file in (*above[above.index(real) :], real)]
            self._problems.add(
                f"specs extend each other in a circle: {' → '.join(circle)}",
                node,
                "remove one of these",
            )
            return None
        return None if real is None else path

    def _part(self, name: str, node: Node) -> Path | None:
        path = find_part(name, self._parts)
        if path is None:
            self._problems.add(f"there is no part {name}", node, did_you_mean(name, parts(self._parts)))
        elif path.parent == self._parts[0]:  # the others are the person's, and the tool's own
            real = real_path(path)
            if not may_be_used(real, f"the part {name}", node, "the spec", self._project, self._demands):
                return None
        return path


def _list(node: Node | None) -> list[Node]:
    if node is None:
        return []
    return node.value if isinstance(node.value, list) else [node]


def _is_texts(node: Node) -> bool:
    return all(isinstance(item.value, str) and item.value for item in _list(node))
