"""What a machine tells, taken apart into its sections."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def split(output: bytes, mark: str) -> Mapping[str, bytes]:
    """The sections by their names.

    Raises:
        EnvironmentFailed: the last one is missing.
    """
    pieces = re.split(rb"\n%b ([^\n]+)\n" % mark.encode(), output)
    sections = {text(name): content for name, content in zip(pieces[1::2], pieces[2::2], strict=True)}
    if "end" not in sections:
        raise EnvironmentFailed("the machine reported only part of its inventory", evidence=[*sections][-1:])
    return sections


def text(raw: bytes) -> str:
    """Bytes as text that gives back the same bytes."""
    return raw.decode("utf-8", "surrogateescape")


def lines(raw: bytes) -> list[str]:
    """The lines, without those that are empty."""
    return [line for line in text(raw).split("\n") if line]


def names_by_id(table: bytes) -> dict[str, str]:
    """The names of a table of users or groups, by their ids."""
    return {fields[2]: fields[0] for line in lines(table) if len(fields := line.split(":")) > 2}


def pairs(raw: bytes) -> Iterator[tuple[str, str]]:
    """Names and values that stand between NULs by turns."""
    words = text(raw).split("\0")
    return zip(words[::2], words[1::2], strict=False)


def variables(raw: bytes) -> dict[str, str] | None:
    """The variables of an environment; None where a program wrote something else over it."""
    entries = text(raw).removesuffix("\0").split("\0")
    if not all(re.match(r"[^=\0]+=", entry) for entry in entries):
        return None
    values = dict(entry.split("=", 1) for entry in entries)
    return values if "PATH" in values else None
