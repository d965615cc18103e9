"""Where a disk is cut into chunks, so that equal pieces of two disks are equal chunks. Pure.

A file system places files at blocks of 4 KiB, so what is inserted into one shifts the rest by whole
blocks. A cut is made after a block whose checksum has certain bits: it moves with the content, and a
change costs the chunks that it touches. (Chunks of a fixed size would all change behind an insertion.
Cutting at bytes instead of blocks finds no more in a disk, and is twenty times slower in Python.)
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 4096
AVERAGE = 512 * 1024  # a power of two times BLOCK
SMALLEST = AVERAGE // 4
LARGEST = AVERAGE * 4
_READS = 1024  # blocks at a time
_MASK = AVERAGE // BLOCK - 1


def cut(file: BinaryIO) -> Iterator[bytes]:
    """The chunks of a file in their order; joined, they are the file."""
    chunk = bytearray()
    while read := file.read(BLOCK * _READS):
        for begin in range(0, len(read), BLOCK):
            block = read[begin : begin + BLOCK]
            chunk += block
            size = len(chunk)
            if size >= LARGEST or (size >= SMALLEST and zlib.crc32(block) & _MASK == _MASK):
                yield bytes(chunk)
                chunk.clear()
    if chunk:
        yield bytes(chunk)
