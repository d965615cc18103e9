"""YAML text to a tree of nodes, by the parser of PyYAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from provision.model import Origin
from provision.spec.scalars import NotFiniteError, Scalar, resolve
from provision.spec.syntax import report_character, report_syntax
from provision.spec.tree import DEEPEST, MOST_VALUES, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.spec.problems import Problems

_STRING_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})
_REPLACE = "!replace"
_COLLECTION_TAGS = frozenset({_REPLACE, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


def compose(text: str, file: str, problems: Problems) -> Node | None:
    """Parse a YAML document into a tree; `parsing.parse` describes the arguments."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=loader))
        return _Composer(events, file, problems).document()
    except yaml.MarkedYAMLError as error:
        report_syntax(error, text, file, problems)
    except yaml.reader.ReaderError as error:
        report_character(error.character, text, file, problems)
    except _TooMuch as error:
        problems.add(str(error), error.origin, error.hint)
    return None


class _TooMuch(Exception):
    def __init__(self, message: str, origin: Origin, hint: str) -> None:
        super().__init__(message)
        self.origin = origin
        self.hint = hint


class _Composer:
    """Builds nodes from the parser's events."""

    def __init__(self, events: Iterator[yaml.Event], file: str, problems: Problems) -> None:
        self._events = events
        self._file = file
        self._problems = problems
        self._anchors: dict[str, Node | None] = {}

    def document(self) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    self._problems.add(
                        "a second document begins here",
                        self._origin(event),
                        "a spec is one document: remove the line ---",
                    )
                node = self._node(next(self._events), 0)
                root = root or node
                self._anchors.clear()
        if root is None or (root.value is None and not root.text):
            self._problems.add(
                "the spec is empty",
                Origin(file=self._file, line=1, column=1),
                "begin with: version: 1, name: dev, base: debian:12",
            )
            return None
        return root

    def _origin(self, event: yaml.Event) -> Origin:
        line, column = _begin(event)
        return Origin(file=self._file, line=line, column=column)

    def _take(self, size: int, event: yaml.Event, which: str) -> None:
        """Take from what the spec may hold: it is judged value by value, for every machine."""
        self._problems.budget.values -= size
        if self._problems.budget.values < 0:
            raise _TooMuch(
                f"the spec has more than {MOST_VALUES} values{which}",
                self._origin(event),
                "write it shorter, or put data into files that it names as sources",
            )

    def _node(self, event: yaml.Event, depth: int) -> Node:
        line, column = _begin(event)
        if isinstance(event, yaml.ScalarEvent):
            self._take(1, event, "")
            node = self._scalar(event, line, column)
            if event.anchor:
                self._anchors[event.anchor] = node
            return node
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._take(1, event, "")
        if depth >= DEEPEST:
            raise _TooMuch(
                f"this is nested deeper than {DEEPEST} levels", self._origin(event), "use fewer levels"
            )
        assert isinstance(event, yaml.CollectionStartEvent)  # noqa: S101 - the grammar's last case
        if event.tag is not None and event.tag not in _COLLECTION_TAGS:
            self._unknown_tag(event.tag, event)
        node = Node(
            None, self._file, line, column,
            flow=bool(event.flow_style), replace=event.tag == _REPLACE,
        )  # fmt: skip
        if event.anchor:
            self._anchors[event.anchor] = None  # not whole yet: an alias to it would be endless
        if isinstance(event, yaml.MappingStartEvent):
            node.value = self._map(node, depth)
        else:
            node.value = self._list(node, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _list(self, parent: Node, depth: int) -> list[Node]:
        items: list[Node] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            item = self._node(event, depth + 1)
            parent.size += item.size
            items.append(item)
        return items

    def _map(self, parent: Node, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            name = self._key(event, entries, depth)
            child = self._node(next(self._events), depth + 1)
            parent.size += child.size
            if name is None or name in entries:
                continue
            child.key = _begin(event)
            entries[name] = child
        return entries

    def _key(self, event: yaml.Event, entries: dict[str, Node], depth: int) -> str | None:
        if not isinstance(event, yaml.ScalarEvent):
            self._node(event, depth + 1)
            self._problems.add("a key must be a string", self._origin(event), "use a plain word")
            return None
        name = event.value
        assert isinstance(name, str)  # noqa: S101 - the parser's promise
        if name == "<<" and event.implicit[0]:
            self._problems.add(
                "the merge key << is not part of this format",
                self._origin(event),
                "use extends to build one spec on another",
            )
            return None
        if "\0" in name:
            self._nul(event)
            return None
        if name in entries:
            first = entries[name].key_origin
            self._problems.add(
                f"the key {name} is declared twice, first in line {first.line}",
                self._origin(event),
                "remove one of the two",
            )
        return name

    def _alias(self, event: yaml.AliasEvent) -> Node:
        nothing = Node(None, self._file, *_begin(event), text="*")
        if event.anchor not in self._anchors:
            self._problems.add(
                f"the alias *{event.anchor} has no anchor",
                self._origin(event),
                f"set an anchor &{event.anchor} before it, or quote the value",
            )
            return nothing
        node = self._anchors[event.anchor]
        if node is None:
            self._problems.add(
                f"the alias *{event.anchor} is inside its own anchor",
                self._origin(event),
                "write the value out",
            )
            return nothing
        self._take(node.size, event, ", its aliases written out")
        return node.with_value(node.value)  # the same value may stand under several keys

    def _scalar(self, event: yaml.ScalarEvent, line: int, column: int) -> Node:
        text = event.value
        plain = event.implicit[0] and event.tag is None
        value: Scalar = text
        if plain:
            value = self._resolve(text, event)
        elif event.tag is not None and event.tag not in _STRING_TAGS:
            self._unknown_tag(event.tag, event)
        if "\0" in text:
            self._nul(event)
            value = text = text.replace("\0", "")
        return Node(value, self._file, line, column, text=text, plain=plain)

    def _resolve(self, text: str, event: yaml.ScalarEvent) -> Scalar:
        try:
            return resolve(text)
        except NotFiniteError:
            self._problems.add(
                f"{text} is not a finite number",
                self._origin(event),
                f'quote it if you mean a string: "{text}"',
            )
            return 0.0

    def _nul(self, event: yaml.Event) -> None:
        self._problems.add(
            "a value contains the character NUL",
            self._origin(event),
            "no program, file name or variable can contain it: encode the value",
        )

    def _unknown_tag(self, tag: str, event: yaml.Event) -> None:
        short = tag.replace("tag:yaml.org,2002:", "!!")
        self._problems.add(
            f"unknown tag {short}",
            self._origin(event),
            "the only tag is !replace, before a list or a map; quote the value if you mean a string",
        )


def _begin(event: yaml.Event) -> tuple[int, int]:
    """Line and column, both from 1, where the parser saw it begin."""
    mark = event.start_mark
    assert mark is not None  # noqa: S101 - only events made by hand have none
    return mark.line + 1, mark.column + 1
