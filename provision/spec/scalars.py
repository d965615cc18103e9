"""The value of an unquoted scalar, by the core schema of YAML 1.2."""

from __future__ import annotations

import math
import re
from typing import TypeAlias

Scalar: TypeAlias = "str | int | float | bool | None"

LONGEST_NUMBER = 300  # a longer row of digits is a text

_LEADING = frozenset("-+.0123456789~nNtTfF")  # how one that is no string begins
_CONSTANTS: dict[str, Scalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class NotFiniteError(ValueError):
    """A number that is infinite, none, or too large to hold."""


def resolve(text: str) -> Scalar:
    """The value of an unquoted scalar.

    Raises:
        NotFiniteError: it is a number without a finite value.
    """
    if text and text[0] not in _LEADING:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) > LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise NotFiniteError
        return number
    if _NOT_FINITE.fullmatch(text):
        raise NotFiniteError
    return text
