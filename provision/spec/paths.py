"""Paths on the host that a spec names: where they lead, and whether they may."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provision.spec.problems import Problems
    from provision.spec.tree import Node


def project_folder(spec: Path) -> Path:
    """The nearest folder above the spec that holds `.git`, else the spec's own."""
    own = real_path(spec).parent
    return next((folder for folder in (own, *own.parents) if os.path.exists(folder / ".git")), own)  # noqa: PTH110 - Path.exists raises where a folder may not be searched


def real_path(path: Path) -> Path:
    """Where a path leads, links followed; the path itself as far as it cannot be followed."""
    return Path(os.path.realpath(path))


def named_path(
    node: Node, what: str, *, project: Path, allow_outside: bool, problems: Problems
) -> Path | None:
    """Where a path that stands in a spec leads; it is relative to the file that names it.

    Args:
        node: a string; for anything else the schema has a problem already.
        what: how problems call it: "the source".
        project: the folder that it may not leave, links followed, unless `allow_outside`.
        allow_outside: it may be anywhere.
        problems: takes one that is not there or outside.

    Returns:
        The path with all links followed; None is a problem already.
    """
    if not isinstance(node.value, str) or not node.value:
        return None
    path = Path(node.file).absolute().parent / node.value
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        reason = "is not there"
        if not isinstance(error, FileNotFoundError):
            number = error.errno if isinstance(error, OSError) else None
            reason = f"cannot be reached: {os.strerror(number) if number else error}"
        problems.add(f"{what} {node.value} {reason}", node, f"looked for {os.path.normpath(path)}")
        return None
    if not allow_outside and not real.is_relative_to(project):
        problems.add(
            f"{what} {node.value} is outside the project folder {project}",
            node,
            "move it inside, or allow it with --allow-outside",
        )
        return None
    return real
