"""The scripts that make a machine of a root file system, and a disk of a machine."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from provision import resources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal[
    "guest", "box"
]  # for QEMU, with the kernel next to the disk; for Vagrant, which boots by itself
_COMMON = ("guest.sh", "changes.sh", "tools.sh")


def scripts(kind: Kind) -> Mapping[str, Path]:
    """The files of a kind of machine, by their paths; those that both have among them."""
    folder = resources.folder("templates") / "vm"
    own = {str(path.relative_to(folder / kind)): path for path in (folder / kind).rglob("*")}
    common = {name: folder / "image" / name for name in _COMMON}
    return {name: path for name, path in sorted((own | common).items()) if path.is_file()}


def digest(files: Mapping[str, Path], *words: object) -> str:
    """A hash of scripts, and of what else something is made of."""
    total = hashlib.sha256("\0".join(str(word) for word in words).encode())
    for name, path in files.items():
        total.update(f"\0{name}\0".encode() + path.read_bytes())
    return total.hexdigest()[:16]
