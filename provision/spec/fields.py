"""Typed access to the fields of a map in the spec.

The schema has spoken before: a value of the wrong type is a problem already, so a field
then gives its default and the reader goes on to find the next problem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.spec import quantities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.spec.problems import Problems
    from provision.spec.tree import Node


class Fields:
    """A map of the spec; anything else has no fields.

    Args:
        node: the map.
        problems: takes a value of the wrong type that the schema let through.
    """

    def __init__(self, node: Node | None, problems: Problems) -> None:
        self._entries: Mapping[str, Node] = (
            node.value if node is not None and isinstance(node.value, dict) else {}
        )
        self._problems = problems

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def node(self, key: str) -> Node | None:
        """The value as it stands."""
        return self._entries.get(key)

    def text(self, key: str, default: str = "") -> str:
        """A string."""
        node = self._entries.get(key)
        if node is None:
            return default
        if isinstance(node.value, str):
            return node.value
        self._wrong(key, node, "a string")
        return default

    def whole(self, key: str) -> int | None:
        """A whole number."""
        node = self._entries.get(key)
        if node is None:
            return None
        if isinstance(node.value, int) and not isinstance(node.value, bool):
            return node.value
        self._wrong(key, node, "a whole number")
        return None

    def number(self, key: str) -> float | None:
        """A number."""
        node = self._entries.get(key)
        if node is None:
            return None
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return node.value
        self._wrong(key, node, "a number")
        return None

    def flag(self, key: str) -> bool:
        """True or false; false where it is not there."""
        node = self._entries.get(key)
        if node is None:
            return False
        if isinstance(node.value, bool):
            return node.value
        self._wrong(key, node, "true or false")
        return False

    def size(self, key: str) -> int | None:
        """Bytes of a size with its unit."""
        node = self._entries.get(key)
        if node is None:
            return None
        size = quantities.size(node.value) if isinstance(node.value, str) else None
        if size is None:
            self._wrong(key, node, "a size with a unit, like 512MiB or 2GiB")
        return size

    def mode(self, key: str) -> int | None:
        """A mode in octal digits; None if it isn't one, which the schema has reported."""
        text = self.data(key)
        try:
            return int(text, 8) if isinstance(text, str) else None
        except ValueError:
            return None

    def seconds(self, key: str, default: float) -> float:
        """Seconds of a duration."""
        node = self._entries.get(key)
        if node is None:
            return default
        value = node.value
        seconds = (
            quantities.seconds(value)
            if isinstance(value, str | int | float) and not isinstance(value, bool)
            else None
        )
        if seconds is None:
            self._wrong(key, node, "a duration like 30s, 2m or a number of seconds")
            return default
        return seconds

    def items(self, key: str) -> list[Node]:
        """The items of a list."""
        node = self._entries.get(key)
        if node is None:
            return []
        if isinstance(node.value, list):
            return node.value
        self._wrong(key, node, "a list")
        return []

    def texts(self, key: str) -> list[tuple[str, Node]]:
        """The strings of a list, each with its place."""
        texts = []
        for item in self.items(key):
            if isinstance(item.value, str):
                texts.append((item.value, item))
            else:
                self._wrong(f"an item of {key}", item, "a string")
        return texts

    def entries(self, key: str) -> Mapping[str, Node]:
        """The entries of a map."""
        node = self._entries.get(key)
        if node is None:
            return {}
        if isinstance(node.value, dict):
            return node.value
        self._wrong(key, node, "a map")
        return {}

    def data(self, key: str) -> object:
        """The value there, without its places; None if there is none."""
        node = self._entries.get(key)
        return None if node is None else node.plain_data()

    def within(self, key: str) -> Fields:
        """The fields of a map inside."""
        return Fields(self._entries.get(key), self._problems)

    def _wrong(self, key: str, node: Node, title: str) -> None:
        if not self._problems.at(node):
            self._problems.add(f"{key} must be {title}", node, "provision schema says more")
