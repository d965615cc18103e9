"""Parts: named fragments of a spec, those that ship with provision and the user's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from provision import resources
from provision.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "part:"
FOLDER = "parts"
VARIABLE = "PROVISION_PARTS"
ENDING = ".yaml"
LARGEST = 2 * 1024 * 1024


def part_folders(beside: Path, host: Mapping[str, str]) -> tuple[Path, ...]:
    """The folders with parts, in search order.

    Args:
        beside: the folder of the spec: its `parts/` comes first.
        host: the host's variables; `PROVISION_PARTS` is a list of folders.
    """
    named = [Path(folder) for folder in host.get(VARIABLE, "").split(os.pathsep) if folder]
    return (beside / FOLDER, *named, resources.folder(FOLDER))


LONGEST = 100  # characters; a file system takes 255 bytes


def find_part(name: str, folders: tuple[Path, ...]) -> Path | None:
    """The file of a part; None where no folder has it."""
    if "/" in name or len(name) > LONGEST:
        return None
    return next((path for folder in folders if (path := folder / f"{name}{ENDING}").is_file()), None)


def parts(folders: tuple[Path, ...]) -> Mapping[str, Path]:
    """Every part by name; one that is found first hides others of its name."""
    by_name = {
        path.stem: path
        for folder in reversed(folders)
        for path in (folder.glob(f"*{ENDING}") if folder.is_dir() else ())
    }
    return dict(sorted(by_name.items()))


def headline(part: Path) -> str:
    """A part's description: the comment in its first line."""
    try:
        text = text_of(part)
    except OSError:
        return ""
    first = text.partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def text_of(part: Path) -> str:
    """The text of a part.

    Raises:
        OSError: it cannot be read, or is no file of a part's size.
    """
    return read_regular(part, largest=LARGEST)[0].decode("utf-8", "replace")
