"""The text of one of the user's files, or a problem that says why it can't be read."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from provision.files import read_regular, why
from provision.model import Origin
from provision.spec.parsing import parse
from provision.spec.tree import LARGEST_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from provision.spec.problems import Problems
    from provision.spec.tree import Node


def read_tree(path: Path, file: str, problems: Problems) -> Node | None:
    """The tree of a spec file; None, and a problem, if it cannot be read.

    Args:
        path: the file.
        file: how positions name it.
        problems: takes what is wrong.
    """
    text = read_text(path, file, problems)
    return None if text is None else parse(text, file, problems)


def read_text(path: Path, file: str, problems: Problems) -> str | None:
    """The text of a file in UTF-8, a byte order mark taken off."""
    start = Origin(file=file, line=1, column=1)
    problems.budget.files -= 1
    if problems.budget.files < 0:
        problems.add(
            "the spec consists of too many files", start, "extend fewer: a spec may read 200 of them"
        )
        return None
    try:
        kind = path.stat()
        if stat.S_ISDIR(kind.st_mode):
            problems.add("this is a folder, not a spec", start, "name the YAML file in it")
            return None
        if not stat.S_ISREG(kind.st_mode):
            problems.add("this is not a regular file", start, "name a YAML file")
            return None
        if kind.st_size > LARGEST_FILE:
            problems.add(
                f"the file has {kind.st_size / 1024**2:.1f} MiB; a spec has at most "
                f"{LARGEST_FILE // 1024**2} MiB",
                start,
                "put large content into a file of its own and name it as a source",
            )
            return None
        data, _ = read_regular(path, largest=LARGEST_FILE)
    except OSError as error:
        problems.add(
            f"the file cannot be read: {why(error)}",
            start,
            "check its path and permissions",
        )
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        problems.add(
            f"the byte 0x{data[error.start]:02X} is not UTF-8",
            Origin(
                file=file,
                line=before.count(b"\n") + 1,
                column=len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1,
            ),
            "save the file as UTF-8",
        )
        return None
