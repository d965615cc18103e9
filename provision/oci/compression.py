"""Zstandard, of the standard library from Python 3.14 on."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 3  # higher ones take several times as long for a few percent
Failed = zstd.ZstdError


def compress(content: bytes) -> bytes:
    """The content as one frame."""
    return zstd.compress(content, LEVEL)


def decompress(packed: bytes, limit: int) -> bytes:
    """The content of a frame, no more than `limit` bytes of it.

    Raises:
        Failed: it is no such frame.
    """
    return zstd.ZstdDecompressor().decompress(packed, limit)
