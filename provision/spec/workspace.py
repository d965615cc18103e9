"""The workspace of a machine, and the folder that git needs in addition."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from provision.files import read_regular
from provision.model import Mount, Workspace
from provision.quick_dataclasses import dataclass
from provision.spec.demands import shown
from provision.spec.owned_paths import owner_of
from provision.spec.paths import is_inside, real_path
from provision.spec.services import path_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from provision.spec.fields import Fields
    from provision.spec.scope import Scope
    from provision.spec.tree import Node
    from provision.spec.users import KnownUsers

PLACE = "/workspace"
LARGEST = 64 * 1024  # bytes of a file of git's that is read
NO_GIT = "git does not work in the workspace"
IDENTITY = "your git user.name and user.email"
AGENT = "your SSH agent in machine {}"


def read_workspace(
    node: Node | None, users: KnownUsers, machine: str, taken: Collection[str], scope: Scope
) -> tuple[Workspace | None, tuple[Mount, ...]]:
    """The workspace, and a mount of the folder that its git works in, where that lies outside of it.

    Args:
        node: the section of the spec.
        users: who may be its user.
        machine: the machine's name.
        taken: paths that the spec mounts something at.
        scope: takes problems and demands.
    """
    fields = scope.fields(node)
    source_node = fields.node("source")
    if node is None or source_node is None:
        return None, ()
    source = scope.host_path(source_node, "the workspace")
    if source is None:
        return None, ()
    if not source.is_dir():
        scope.problems.add(f"the workspace {source_node.value} is not a folder", source_node, "name a folder")
    path = path_of(fields, "path", PLACE, scope)
    if path == "/":
        scope.problems.add(
            "the workspace cannot be mounted over /", fields.node("path") or node,
            f"the usual place is {PLACE}",
        )  # fmt: skip
    user = fields.text("user", "root")
    if (user_node := fields.node("user")) is not None:
        users.refuse_unknown(user, user_node)
    beside = git_beside(source, path)
    mounts: tuple[Mount, ...] = ()
    if beside.source is not None and beside.path not in taken:
        what = f"the git folder of the workspace {shown(str(beside.source))}"
        if is_inside(beside.source, scope.project) or scope.demands.offer(
            "outside", what, source_node, NO_GIT
        ):
            mount = Mount(
                path=beside.path, source=beside.source, read_only=False, user=user, origin=source_node.origin
            )
            mounts = (mount,)
    workspace = Workspace(
        source=source, path=path, user=user, identity=_identity(fields, scope),
        agent=_agent(fields, machine, scope), note=f"{NO_GIT}: {beside.lacks}" if beside.lacks else "",
        origin=source_node.origin,
    )  # fmt: skip
    return workspace, mounts


def _identity(fields: Fields, scope: Scope) -> bool:
    node = fields.node("git")
    if node is None or node.value != "identity":
        return False
    return scope.demands.offer("host-env", IDENTITY, node, "commits made inside have no author")


def _agent(fields: Fields, machine: str, scope: Scope) -> bool:
    nodes = [node for _, node in fields.texts("forward")]
    if not nodes:
        return False
    return scope.demands.offer("agent", AGENT.format(machine), nodes[0], "there is no SSH agent inside")


@dataclass(frozen=True, kw_only=True)
class GitBeside:
    """The folder outside of a workspace that its git works in: `source` on the host, `path` inside.

    Neither is there where the workspace has its own, or no git at all; `lacks` says why git
    cannot work inside.
    """

    source: Path | None = None
    path: str = ""
    lacks: str = ""


def git_beside(workspace: Path, inside: str) -> GitBeside:
    """What the `.git` of a workspace that is mounted at `inside` points to, by its own words.

    A worktree's `.git` is a file that names a folder of its own in the repository's folder, and
    that names the repository's: both are named as they are on the host, or relative to the
    workspace, so they must be at the same place inside.
    """
    file = workspace / ".git"
    if not file.is_file():
        return GitBeside()
    named = _line(file).removeprefix("gitdir:").strip()
    own = real_path(workspace / named)
    if not named or not own.is_dir():
        return GitBeside(lacks=f"{file} points to a folder that does not exist")
    whole = _line(own / "commondir")
    common = real_path(own / whole)
    if not (common / "objects").is_dir() or not (common / "HEAD").is_file():
        return GitBeside(lacks=f"{file} leads to {common}, which is not a git repository")
    if not whole and re.search(r"^\s*worktree\s*=", _text(own / "config"), re.MULTILINE):
        return GitBeside(lacks="it is a submodule; make the repository around it the workspace")
    path = os.path.normpath(Path(inside, named, whole))
    if common.is_relative_to(workspace):
        return GitBeside(lacks=f"{file} has the absolute path {named}" if Path(named).is_absolute() else "")
    if owner_of(path, mounted=True) is not None or path in ("/", inside) or path.startswith(f"{inside}/"):
        return GitBeside(lacks=f"its repository would have to be at {path} inside")
    return GitBeside(source=common, path=path)


def _line(file: Path) -> str:
    """The first line of a small file of git's; empty where there is none."""
    return _text(file).partition("\n")[0].strip()


def _text(file: Path) -> str:
    try:
        content, _ = read_regular(file, largest=LARGEST)
        return content.decode()
    except (OSError, ValueError):
        return ""
