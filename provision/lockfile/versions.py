"""Debian's order of versions, and the nearest of those that can be had; pure."""

from __future__ import annotations

import re
from functools import cmp_to_key
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PART = re.compile(r"([^0-9]*)([0-9]*)")


def compare(left: str, right: str) -> int:
    """Negative, 0 or positive, as dpkg orders two versions (deb-version(7))."""
    (one, mine, ours), (other, yours, theirs) = _split(left), _split(right)
    return (one > other) - (one < other) or _compare(mine, yours) or _compare(ours, theirs)


ordered = cmp_to_key(compare)


def nearest(wanted: str, there: Iterable[str]) -> str | None:
    """The lowest of the versions that are above `wanted`, else the highest; None of none."""
    versions = sorted(set(there), key=ordered)
    above = [each for each in versions if compare(each, wanted) > 0]
    return above[0] if above else versions[-1] if versions else None


def _split(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdigit():
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    return (int(epoch), upstream, revision) if dash else (int(epoch), rest, "")


def _compare(left: str, right: str) -> int:
    for (mine, ours), (yours, theirs) in zip_longest(
        _PART.findall(left), _PART.findall(right), fillvalue=("", "")
    ):
        for one, other in zip_longest(map(_weight, mine), map(_weight, yours), fillvalue=0):
            if one != other:
                return one - other
        if difference := int(ours or 0) - int(theirs or 0):
            return difference
    return 0


def _weight(character: str) -> int:
    """`~` before the end, letters before all else."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
