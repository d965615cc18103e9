"""The tree that a spec is read into: its nodes know their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from provision.model import Origin

if TYPE_CHECKING:
    from provision.spec.scalars import Scalar

Value: TypeAlias = "Scalar | dict[str, Node] | list[Node]"

LARGEST_FILE = 2 * 1024 * 1024
DEEPEST = 50
MOST_VALUES = 20_000


class Node:
    """A value of the spec, its place, and how it was written.

    `text` is a scalar as written (`3.10`); `plain` a scalar without quotes; `replace` was
    marked `!replace`; `flow` a map or list in braces; `key` where its key stands, if it
    has one; `size` how many nodes it is made of, aliases written out.
    """

    __slots__ = (
        "column",
        "file",
        "flow",
        "key",
        "line",
        "plain",
        "replace",
        "size",
        "text",
        "value",
    )

    def __init__(
        self,
        value: Value,
        file: str,
        line: int,
        column: int,
        *,
        text: str = "",
        plain: bool = False,
        flow: bool = False,
        replace: bool = False,
        key: tuple[int, int] | None = None,
        size: int = 1,
    ) -> None:
        self.value = value
        self.file = file
        self.line = line
        self.column = column
        self.text = text
        self.plain = plain
        self.flow = flow
        self.replace = replace
        self.key = key
        self.size = size

    @property
    def origin(self) -> Origin:
        """The place of the value."""
        return Origin(file=self.file, line=self.line, column=self.column)

    @property
    def key_origin(self) -> Origin:
        """The place of its key; for an item of a list, of the value."""
        if self.key is None:
            return self.origin
        return Origin(file=self.file, line=self.key[0], column=self.key[1])

    def with_value(self, value: Value) -> Node:
        """The same node with another value."""
        return Node(
            value, self.file, self.line, self.column, text=self.text, plain=self.plain,
            flow=self.flow, replace=self.replace, key=self.key, size=self.size,
        )  # fmt: skip

    def plain_data(self) -> object:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: child.plain_data() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain_data() for child in self.value]
        return self.value

    def __repr__(self) -> str:
        return f"Node({self.plain_data()!r}, {self.origin})"
