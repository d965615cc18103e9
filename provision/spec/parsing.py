"""YAML text to a tree, remembered: a text that was read once without a problem needs no parser."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision import memo
from provision.spec.tree import Node

if TYPE_CHECKING:
    from provision.spec.problems import Problems


LARGEST = 64 * 1024  # characters of a text: the tree of a longer one would not be kept
_DECIDING = ("composer", "parsing", "scalars", "tree")


def parse(text: str, file: str, problems: Problems) -> Node | None:
    """The tree of a YAML document, by the core schema of YAML 1.2.

    Args:
        text: the document.
        file: how positions name it.
        problems: takes duplicate keys, merge keys, tags, aliases that grow, bad syntax.

    Returns:
        None where there is nothing to go on with; the problems say why.
    """
    known = memo.key(_reader(), text.encode()) if len(text) <= LARGEST else ""
    if known and (answer := memo.recall(known)) is not None:
        taken, written = json.loads(answer)
        if taken <= problems.budget.values:
            problems.budget.values -= taken
            return _read(written, file)
    # Importing the parser takes longer than all that is done with a tree.
    from provision.spec.composer import compose

    before, added = problems.budget.values, problems.added
    root = compose(text, file, problems)
    if known and root is not None and problems.added == added:
        answer = json.dumps((before - problems.budget.values, _written(root)), separators=(",", ":")).encode()
        memo.keep(known, answer)
    return root


@cache
def _reader() -> bytes:
    """All that decides what tree a text is read into, besides the text."""
    own = (Path(__file__).with_name(f"{name}.py").read_bytes() for name in _DECIDING)
    return b"\0".join((*own, memo.library("yaml")))


def _written(node: Node) -> list[object]:
    """A node for JSON; only scalars have a text."""
    value: object = node.value
    if isinstance(node.value, dict):
        value = {key: _written(child) for key, child in node.value.items()}
    elif isinstance(node.value, list):
        value = [_written(child) for child in node.value]
    return [
        value, node.line, node.column, node.text, node.plain, node.flow, node.replace, node.key, node.size,
    ]  # fmt: skip


def _read(written: list[Any], file: str) -> Node:
    value, line, column, text, plain, flow, replace, key, size = written
    if isinstance(value, dict):
        value = {name: _read(child, file) for name, child in value.items()}
    elif isinstance(value, list):
        value = [_read(child, file) for child in value]
    return Node(
        value, file, line, column, text=text, plain=plain, flow=flow, replace=replace,
        key=key and tuple(key), size=size,
    )  # fmt: skip
