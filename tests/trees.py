"""A tree of what is copied, and what it is like afterwards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def grow(folder: Path, *, repeats: int) -> None:
    """Files with every byte, modes, odd and long names, links that lead nowhere, a second name.

    Args:
        folder: is made.
        repeats: how often the 256 bytes stand in the one large file.
    """
    (folder / "sub").mkdir(parents=True)
    (folder / "sub").chmod(0o711)
    (folder / "plain").write_bytes(bytes(range(256)) * repeats)
    (folder / "plain").chmod(0o640)
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "sub" / "-odd \udcff\nname'$x").write_text("odd")
    (folder / "sub" / ("long" * 60)).write_text("long")
    (folder / "absolute").symlink_to("/nowhere/at/all")
    (folder / "relative").symlink_to("sub")
    os.link(folder / "plain", folder / "second")


def described(folder: Path) -> dict[str, object]:
    """Each path's mode, number of names, and bytes or target."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        what = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (oct(status.st_mode), status.st_nlink, what)
    return found
