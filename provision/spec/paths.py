"""Host paths that a spec names: where they lead, and whether that is allowed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from provision import resources
from provision.spec.demands import shown

if TYPE_CHECKING:
    from provision.model import Origin
    from provision.spec.demands import Demands
    from provision.spec.problems import Problems
    from provision.spec.tree import Node

MOVE = "move it inside"


def project_folder(spec: Path) -> Path:
    """The nearest folder above the spec that holds `.git`, else the spec's own.

    A `.git` in the home folder or above it is one of the person's dotfiles, or of the whole
    computer: what is in there is no project.
    """
    own = real_path(spec).parent
    return next(
        (folder for folder in (own, *own.parents)
         if not _holds_home(folder) and os.path.exists(folder / ".git")),  # noqa: PTH110 - Path.exists raises where a folder may not be searched
        own,
    )  # fmt: skip


def is_inside(real: Path, project: Path) -> bool:
    """Whether a path, links followed, belongs to a project.

    Nothing does in a home folder, nor what this tool keeps the person's word in.
    """
    return real.is_relative_to(project) and not _holds_home(project) and not _meets_configuration(real)


def _meets_configuration(real: Path) -> bool:
    """Whether a path is in the user's own configuration of this tool, or that in it."""
    own = real_path(resources.configuration())
    return real.is_relative_to(own) or own.is_relative_to(real)


def _holds_home(folder: Path) -> bool:
    """Whether a folder is the home folder or above it."""
    return real_path(Path(os.path.expanduser("~"))).is_relative_to(folder)  # noqa: PTH111 - Path's own raises where nobody knows the home


def real_path(path: Path) -> Path:
    """A path with links followed, as far as possible."""
    return Path(os.path.realpath(path))


def named_path(
    node: Node, what: str, *, project: Path, demands: Demands, problems: Problems, use: str = ""
) -> Path | None:
    """Where a path that stands in a spec leads; it is relative to the file that names it.

    Args:
        node: a string; for anything else the schema has a problem already.
        what: how problems call it: "the source".
        project: the folder that it may not leave, links followed, without the word `outside`.
        demands: asks for that word.
        problems: takes one that is not there or outside.
        use: what it is for, where `what` does not say all of it.

    Returns:
        The path with all links followed; None is a problem already.
    """
    if not isinstance(node.value, str) or not node.value:
        return None
    path = Path(node.file).absolute().parent / node.value
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        reason = "does not exist"
        if not isinstance(error, FileNotFoundError):
            number = error.errno if isinstance(error, OSError) else None
            reason = f"cannot be reached: {os.strerror(number) if number else error}"
        problems.add(f"{what} {node.value} {reason}", node, f"looked for {os.path.normpath(path)}")
        return None
    return real if may_be_used(real, f"{what} {node.value}", node, use or what, project, demands) else None


def may_be_used(
    real: Path, called: str, at: Node | Origin, what: str, project: Path, demands: Demands, advice: str = MOVE
) -> bool:
    """Whether a path is inside the project, or allowed; a problem if not.

    Args:
        real: the path, links followed.
        called: how the problem calls it: "the source ../data".
        at: where the spec names it.
        what: what it is for: "the source".
        project: the project folder.
        demands: asks for the word `outside`.
        advice: how to do without.
    """
    if is_inside(real, project):
        return True
    message = f"{called} is outside the project folder {project}"
    if _meets_configuration(real):
        message = f"{called} contains provision's own configuration, {resources.configuration()}"
    elif _holds_home(project):
        message = f"{called} is beside the spec in {project}, which is not a project folder"
    return demands.ask("outside", f"{what} {shown(str(real))}", at, message, advice)


def lock_of(spec: Path) -> Path:
    """NAME.lock.yaml beside NAME.yaml."""
    return spec.parent / f"{spec.stem}.lock.yaml"  # a folder has no name to change, such as `.`
