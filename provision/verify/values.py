"""Compares found with expected values, and describes the difference in a few words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.model import Expected

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 160
MOST_ITEMS = 12


class Unanswered(Exception):
    """A check that could not be evaluated: it fails, whatever it states."""


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text in quotes on one line; of a long one, its beginning and its end."""
    text = text.rstrip("\n")
    if len(text) > longest:
        text = f"{text[: longest * 2 // 3]} … {text[-longest // 3 :]}"
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\x{ord(match[0]):02x}", escaped) + '"'


def text_problems(what: str, actual: str, expected: object) -> Iterator[str]:
    """What a text fails of its claim: `Expected`, or plain text that it must contain.

    `equals` forgives a final newline, which nearly every command prints.
    """
    claim = expected if isinstance(expected, Expected) else None
    how, text = (claim.how, claim.text) if claim else ("contains", str(expected))
    if how == "contains" and text not in actual:
        yield f"{what} is {shortened(actual)}, expected {shortened(text)} in it"
    elif how == "lacks" and text in actual:
        yield f"{what} is {shortened(actual)}, expected no {shortened(text)} in it"
    elif how == "equals" and actual not in (text, text + "\n"):
        yield f"{what} is {shortened(actual)}, expected {shortened(text)}"
    elif how == "matches":
        try:
            matched = re.search(text, actual, re.MULTILINE)
        except re.error as error:
            raise Unanswered(f"{what}: {shortened(text)} is not a regular expression: {error}") from error
        if not matched:
            yield f"{what} is {shortened(actual)}, expected a match of {shortened(text)}"


def value_problems(what: str, actual: object, expected: object) -> Iterator[str]:
    """What a value fails of its claim: equal, or for a list that each item is in it.

    Of something that is so or not, `what` is what it is: `running`, `a folder`.
    """
    if isinstance(expected, Expected):
        yield from text_problems(what, str(actual), expected)
    elif isinstance(expected, (list, tuple)):
        there = {str(item) for item in actual} if isinstance(actual, (list, tuple)) else {str(actual)}
        if missing := [str(item) for item in expected if str(item) not in there]:
            items = ", ".join(sorted(there)[:MOST_ITEMS]) or "nothing"
            yield f"{what}: {', '.join(missing)} missing in {items}"
    elif isinstance(expected, bool) or isinstance(actual, bool):
        if bool(actual) is not bool(expected):
            yield f"is {what}, expected not" if actual else f"is not {what}"
    elif str(actual) != str(expected):
        yield f"{what} is {_bare(actual)}, expected {_bare(expected)}"


def mode_problems(actual: int, expected: object) -> Iterator[str]:
    """A file's mode, as octal text (`"0640"`) or as a number."""
    wanted = int(expected, 8) if isinstance(expected, str) else expected
    if actual != wanted:
        shown = f"{wanted:04o}" if isinstance(wanted, int) else str(expected)
        yield f"mode is {actual:04o}, expected {shown}"


def _bare(value: object) -> str:
    text = str(value)
    return text if re.fullmatch(r"[\w@%+=:,./-]+", text) else shortened(text)
