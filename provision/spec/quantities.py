"""Numbers with units, as people write them."""

from __future__ import annotations

import re

_UNITS = {"MiB": 1024**2, "GiB": 1024**3, "MB": 1000**2, "GB": 1000**3}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]+)")


def size(text: str) -> int | None:
    """Bytes of a size like `512MiB` or `1.5GB`; None for anything else."""
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in _UNITS:
        return None
    return int(float(match[1]) * _UNITS[match[2]])


def seconds(value: str | float) -> float | None:
    """Seconds of a duration like `30s`, `2m`, `500ms` or a number; None for anything else."""
    if not isinstance(value, str):
        return float(value)
    match = _QUANTITY.fullmatch(value)
    if match is None or match[2] not in _SECONDS:
        return None
    return float(match[1]) * _SECONDS[match[2]]


def shown_size(size: int) -> str:
    """A number of bytes for people."""
    for unit, divisor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= divisor:
            return f"{size / divisor:.3g} {unit}" if size < 1000 * divisor else f"{size // divisor} {unit}"
    return f"{size} B"
