"""Checks of files: type, owner, mode and content."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice, zip_longest
from typing import TYPE_CHECKING

from provision.verify.context import text_of
from provision.verify.values import (
    mode_problems,
    shortened,
    text_problems,
    value_problems,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provision.model import Check
    from provision.verify.context import CheckContext

MOST_COMPARED = 1_000_000
MOST_NAMED = 3
MOST_AT_ONCE = 500
_ATTRIBUTES = frozenset({
    "is_file", "is_directory", "is_symlink", "is_executable", "is_pipe", "is_socket",
    "uid", "gid", "group", "user", "size", "linked_to", "sha256sum",
})  # fmt: skip
_SAID = {
    "is_file": "a regular file",
    "is_directory": "a folder",
    "is_symlink": "a symbolic link",
    "is_executable": "executable",
    "is_pipe": "a pipe",
    "is_socket": "a socket",
    "user": "owner",
    "linked_to": "end of the link",
}


def file(context: CheckContext, check: Check) -> Iterator[str]:
    """There, and with each attribute by testinfra's name."""
    remote = context.host.file(check.subject)
    if not (remote.exists or remote.is_symlink):
        yield "does not exist"
        return
    for name, expected in check.fields.items():
        if name in _OTHERS:
            yield from _OTHERS[name](context, check, expected)
        else:
            yield from value_problems(_SAID.get(name, name), getattr(remote, name), expected)


def _mode(context: CheckContext, check: Check, expected: object) -> Iterator[str]:
    yield from mode_problems(context.host.file(check.subject).mode, expected)


def _content(context: CheckContext, check: Check, expected: object) -> Iterator[str]:
    """`Expected` of its text; bytes are compared whole, by their sum."""
    remote = context.host.file(check.subject)
    if not remote.is_file:
        yield "is not a regular file"
    elif not isinstance(expected, bytes):
        yield from text_problems("content", str(remote.content_string), expected)
    # sha256sum marks a path that it had to escape with a backslash before the sum
    elif remote.sha256sum.lstrip("\\") != hashlib.sha256(expected).hexdigest():
        content = context.run(f"head -c {MOST_COMPARED} {shlex.quote(check.subject)}", user="root").stdout
        yield _difference(content, int(remote.size), expected)


def _difference(content: bytes, size: int, expected: bytes) -> str:
    """Where the content first differs, or how long it is where it is no text."""
    if b"\0" not in content + expected and size == len(content):
        for number, (here, wanted) in enumerate(zip_longest(_lines(content), _lines(expected)), 1):
            if here is None:
                return f"it ends before line {number}, expected {shortened(wanted or '')}"
            if wanted is None:
                return f"line {number} is {shortened(here)}, expected the end of the file"
            if here.rstrip("\n") != wanted.rstrip("\n"):
                return f"line {number} is {shortened(here)}, expected {shortened(wanted)}"
            if here != wanted:
                more, fewer = ("a", "none") if here.endswith("\n") else ("no", "one")
                return f"its last line has {more} newline, expected {fewer}"
    return f"content differs ({size} bytes, expected {len(expected)})"


def _lines(content: bytes) -> list[str]:
    return [text_of(line) for line in re.findall(rb"[^\n]*\n|[^\n]+", content)]


def _link(context: CheckContext, check: Check, expected: object) -> Iterator[str]:
    """The link's own text, not where it leads in the end (`linked_to`)."""
    target = context.host.run("readlink %s", check.subject)
    if target.rc != 0:
        yield "is not a symbolic link"
    else:
        yield from value_problems("link", target.stdout.removesuffix("\n"), expected)


def _tree(context: CheckContext, check: Check, expected: object) -> Iterator[str]:
    """The files of a folder: by relative path, the fields of each."""
    assert isinstance(expected, Mapping)  # noqa: S101 - only implied.py makes trees
    inner = {
        path: replace(check, subject=f"{check.subject}/{path}", fields=fields)
        for path, fields in expected.items()
    }
    checks = list(inner.values())
    for begin in range(0, len(checks), MOST_AT_ONCE):
        context.prefetch(checks[begin : begin + MOST_AT_ONCE])
    problems = (f"{path} {problem}" for path, one in inner.items() for problem in file(context, one))
    named = list(islice(problems, MOST_NAMED + 1))
    yield from named[:MOST_NAMED]
    if len(named) > MOST_NAMED:
        yield "and more"


_OTHERS: dict[str, Callable[[CheckContext, Check, object], Iterator[str]]] = {
    "mode": _mode,
    "content": _content,
    "link": _link,
    "tree": _tree,
}
FIELDS = _ATTRIBUTES | frozenset(_OTHERS)
